"""A training that is stopped anywhere and resumed is the training that was not stopped."""

import copy
import os
import signal
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from looc_mm.engine import QuietRunner
from looc_mm.stop import TrainingStoppedError, catch_signals

from ..test_export import NARROW, config

REPO = Path(__file__).parents[2]

ITERATIONS = {'default_hooks__checkpoint__by_epoch': False, 'default_hooks__checkpoint__interval': 5}


def by_iteration(sampler, iterations=12):
    return {
        'train_cfg': dict(_delete_=True, by_epoch=False, max_iters=iterations),
        'train_dataloader__sampler__type': sampler,
        'param_scheduler': [dict(type='MultiStepLR', by_epoch=False, milestones=[5, 9])],
        **ITERATIONS,
    }


LOOPS = {
    'epochs': {},
    'iterations': by_iteration('DefaultSampler'),
    'endless': by_iteration('InfiniteSampler'),
    'partial epochs': {
        'train_dataloader__sampler__type': 'PartialEpochs',
        'train_dataloader__sampler__pictures': 16,
        'train_dataloader__dataset__length': 22,
    },
    'shards': {'train_dataloader__sampler__type': 'ShardSampler', 'train_dataloader__sampler__block': 2},
    'a smaller last batch': {'train_dataloader__dataset__length': 14},
    'accumulation': {'optim_wrapper__accumulative_counts': 3},
}


class Seen(Hook):
    """Collects the batches of the training, and the index of each in its epoch."""

    def __init__(self):
        self.inputs, self.indices = [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.inputs.append(data_batch['inputs'].clone())
        self.indices.append(batch_idx)


@pytest.fixture
def build_runner(build_runner, monkeypatch):
    """Without the picture of the curves, which takes longer than these trainings."""
    monkeypatch.setattr('looc_mm.engine.curves.Curves.draw', lambda self: None)
    return lambda **options: build_runner(**copy.deepcopy(options))  # MMEngine changes them


def train(build_runner, **options):
    """A training to its end; the runner, and what it saw."""
    runner, seen = build_runner(**options), Seen()
    runner.register_hook(seen)
    with catch_signals():
        runner.train()
    return runner, seen


def stop(build_runner, iteration, **options):
    """A training that gets SIGTERM in an iteration; what it saw, and the checkpoint."""
    runner = build_runner(custom_hooks=[dict(type='SignalItself', iteration=iteration)], **options)
    seen = Seen()
    runner.register_hook(seen)
    with pytest.raises(TrainingStoppedError, match=r'and .*\.pth was written. Continue with --resume'), catch_signals():
        runner.train()
    return seen, Path(Path(runner.work_dir, 'last_checkpoint').read_text())


def assert_equal(whole, resumed):
    assert resumed.iter == whole.iter == whole.max_iters
    for name in ('train/loss', 'train/lr'):
        expected, got = (runner.message_hub.get_scalar(name) for runner in (whole, resumed))
        assert np.array_equal(got.data[0], expected.data[0])
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], weight)
    assert whole.optim_wrapper.state_dict()['state'][0]['momentum_buffer'].equal(
        resumed.optim_wrapper.state_dict()['state'][0]['momentum_buffer']
    )


@pytest.mark.parametrize('loop, iteration', [*((loop, 6) for loop in LOOPS), ('epochs', 1), ('epochs', 4)])
def test_a_stopped_training_goes_on_where_it_was(build_runner, tmp_path, loop, iteration):
    reads, options = tmp_path / 'reads', LOOPS[loop]
    whole, seen = train(build_runner, work_dir=f'{tmp_path}/whole', **options)
    before, checkpoint = stop(build_runner, iteration, **options)
    done = len(before.inputs)
    assert checkpoint.name == f'iter_{done}.pth'
    assert done == (iteration if loop != 'accumulation' else 3 * -(-iteration // 3))
    resumed, after = train(build_runner, resume=True, train_dataloader__dataset__reads=str(reads), **options)
    assert_equal(whole, resumed)
    assert torch.equal(torch.cat(before.inputs + after.inputs), torch.cat(seen.inputs))
    assert before.indices + after.indices == seen.indices
    expected = sum(len(batch) for batch in after.inputs)
    expected += 4 * (loop == 'endless')  # a batch for an iteration that does not come
    assert len(reads.read_text().splitlines()) == expected, 'no picture before the place is read'
    assert not checkpoint.exists(), 'the next checkpoint replaces it'


@pytest.mark.parametrize('loop', ['epochs', 'iterations', 'endless'])
@pytest.mark.parametrize('persistent', [True, False])
def test_with_workers(build_runner, tmp_path, loop, persistent):
    options = {
        **LOOPS[loop],
        'train_dataloader__num_workers': 2,
        'train_dataloader__persistent_workers': persistent,
    }
    whole, seen = train(build_runner, work_dir=f'{tmp_path}/whole', **options)
    before, _ = stop(build_runner, 6, **options)
    reads = tmp_path / 'reads'
    resumed, after = train(build_runner, resume=True, train_dataloader__dataset__reads=str(reads), **options)
    assert_equal(whole, resumed)
    assert torch.equal(torch.cat(before.inputs + after.inputs), torch.cat(seen.inputs))
    assert len(after.inputs) == 6
    ahead = 0 if loop != 'endless' else 5  # batches that are asked for before the last iteration
    assert 24 <= len(reads.read_text().splitlines()) <= 24 + 4 * ahead, 'no picture before the place is read'


def test_a_second_stop_in_the_same_epoch(build_runner, tmp_path):
    whole, _ = train(build_runner, work_dir=f'{tmp_path}/whole')
    for iteration in (5, 6, 7):
        stop(build_runner, iteration, resume=True)
        assert [path.name for path in sorted(tmp_path.glob('work/*.pth'))] == ['epoch_1.pth', f'iter_{iteration}.pth']
    assert_equal(whole, train(build_runner, resume=True)[0])


def test_a_signal_in_the_last_iteration_finds_the_training_finished(build_runner):
    runner, _ = train(build_runner, custom_hooks=[dict(type='SignalItself', iteration=12)])
    assert runner.iter == 12 and Path(runner.work_dir, 'epoch_3.pth').exists()


def test_gradients_that_wait_at_the_end_of_an_epoch_are_dropped(build_runner):
    """Two epochs of four batches; the optimizer steps after batches 3, 6 and 8, and batch 4 is in none of its steps."""
    options = {'optim_wrapper__accumulative_counts': 3, 'train_cfg__max_epochs': 2, 'param_scheduler': None}
    runner, seen = train(build_runner, **options)
    model = torch.nn.Linear(3, 1)
    torch.nn.init.zeros_(model.weight)
    torch.nn.init.zeros_(model.bias)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for step in ([0, 1, 2], [4, 5], [6, 7]):
        optimizer.zero_grad()
        for index in step:
            batch = seen.inputs[index]
            loss = (model(batch) - batch.sum(1, keepdim=True)).square().mean()
            (loss / (2 if step[0] == 6 else 3)).backward()  # the last step is of the two batches that are left
        optimizer.step()
    assert torch.allclose(runner.model.linear.weight, model.weight, atol=1e-7)


def test_a_checkpoint_between_two_steps_of_the_optimizer_is_refused(build_runner, tmp_path):
    options = LOOPS['iterations'] | {'optim_wrapper__accumulative_counts': 2}
    train(build_runner, **options | {'train_cfg': dict(_delete_=True, by_epoch=False, max_iters=10)})
    path = tmp_path / 'work/iter_5.pth'
    with pytest.raises(ValueError, match='iteration 5, and the optimizer steps after every 2 .* a multiple of 2'):
        train(build_runner, resume=True, load_from=str(path), work_dir=f'{tmp_path}/other', **options)


@pytest.mark.parametrize('options', [{'train_dataloader__batch_size': 8}, {'train_dataloader__dataset__length': 12}])
def test_epochs_of_another_length_are_refused(build_runner, options):
    train(build_runner, train_cfg__max_epochs=2)
    with pytest.raises(ValueError, match='4 iterations an epoch.*with the same.*load_from'):
        train(build_runner, resume=True, **options)


def test_views_and_queues_of_looc_are_those_of_the_training_that_was_not_stopped(tmp_path):
    """Two epochs of two steps, stopped in the middle of the second."""
    model = config(NARROW, 64)
    model['neck']['queue_len'] = 8

    class Interrupt(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter == 2:
                os.kill(os.getpid(), signal.SIGINT)

    def build(work_dir, resume=False):
        cfg = Config.fromfile(REPO / 'configs/looc/looc_factors.py')
        small = dict(num_workers=0, persistent_workers=False, batch_size=4, dataset=dict(length=8))
        cfg.merge_from_dict(dict(train_dataloader=small, train_cfg=dict(max_epochs=2)))
        cfg.model = model
        cfg.update(work_dir=str(tmp_path / work_dir), experiment_name=uuid4().hex, resume=resume, launcher='none')
        return QuietRunner.from_cfg(cfg)

    whole = build('whole')
    whole.train()
    stopped = build('parts')
    stopped.register_hook(Interrupt())
    with pytest.raises(TrainingStoppedError, match='after iteration 3 of 4'), catch_signals():
        stopped.train()
    resumed = build('parts', resume=True)
    resumed.train()
    assert resumed.iter == 4
    expected, found = whole.model.state_dict(), resumed.model.state_dict()
    assert expected.keys() == found.keys() and any('queue' in name for name in expected)
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name
