from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook

from looc_mm.engine import DeferredRuntimeInfo


@pytest.fixture
def deferred(monkeypatch):
    """Values on the CPU are treated as those of a GPU."""
    monkeypatch.setattr(DeferredRuntimeInfo, '_is_late', staticmethod(lambda value: isinstance(value, torch.Tensor)))


@pytest.mark.parametrize('poison', [float('nan'), float('inf')])
def test_non_finite_loss_stops_the_run(build_runner, poison):
    runner = build_runner(model__poison=poison)
    with pytest.raises(FloatingPointError) as error:
        runner.train()
    message = str(error.value)
    assert runner.iter == 2
    for part in ('iteration 3:', f'loss={poison}', f'loss_extra={poison}', 'lower learning rate', runner.work_dir):
        assert part in message


def logged(runner):
    return runner.message_hub.get_scalar('train/loss_fit').data[0].tolist()


def test_deferred_values_are_those_of_mmengine(build_runner, monkeypatch):
    """The same numbers in the same order and number, epoch after epoch, at once or one iteration later."""
    plain = build_runner(default_hooks__runtime_info__type='RuntimeInfoHook')
    plain.train()
    at_once = build_runner()
    at_once.train()
    monkeypatch.setattr(DeferredRuntimeInfo, '_is_late', staticmethod(lambda value: isinstance(value, torch.Tensor)))
    late = build_runner()
    late.train()
    assert len(logged(plain)) == 12 and logged(plain) == logged(at_once) == logged(late)


def test_values_come_one_iteration_late_and_all_at_an_epochs_end(build_runner, deferred):
    runner = build_runner(train_cfg__max_epochs=2)
    known = []

    class Count(Hook):
        priority = 'LOWEST'

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            known.append(len(logged(runner)) if 'train/loss_fit' in runner.message_hub.log_scalars else 0)

        def after_train_epoch(self, runner):
            known.append(len(logged(runner)))

    runner.register_hook(Count())
    runner.train()
    assert known == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8]


def test_a_deferred_nan_stops_the_run_one_iteration_later(build_runner, deferred):
    runner = build_runner(model__poison=float('nan'))
    with pytest.raises(FloatingPointError, match=r'iteration 3: .*loss_extra=nan'):
        runner.train()
    assert runner.iter == 3


@pytest.mark.parametrize('by_epoch', [True, False])
def test_a_deferred_nan_stops_the_run_before_a_checkpoint(build_runner, deferred, by_epoch):
    """The poisoned third step is followed by a checkpoint: of the epoch, or of the iteration."""
    if by_epoch:
        runner = build_runner(model__poison=float('nan'), train_dataloader__batch_size=6)  # three iterations
    else:
        runner = build_runner(
            model__poison=float('nan'),
            train_cfg=dict(_delete_=True, by_epoch=False, max_iters=9),
            train_dataloader__sampler__type='InfiniteSampler',
            param_scheduler=[],
            default_hooks__checkpoint=dict(by_epoch=False, interval=3),
        )
    with pytest.raises(FloatingPointError, match='iteration 3:'):
        runner.train()
    assert not list(Path(runner.work_dir).glob('*.pth'))


def test_progress_bar_counts_every_iteration_and_shows_the_loss(build_runner, capsys):
    options = dict(custom_hooks=[dict(type='PlainCheckpoint'), dict(type='ProgressBar', disable=False)])
    runner = build_runner(**options, train_cfg__max_epochs=2)
    runner.train()
    loss = runner.message_hub.get_scalar('train/loss').current()
    shown = capsys.readouterr().err
    assert '8/8' in shown
    assert f'loss={loss:.4f}' in shown

    resumed = build_runner(**options, resume=True)
    resumed.train()
    shown = capsys.readouterr().err
    assert '8/12' in shown
    assert '12/12' in shown


def test_progress_bar_works_with_an_iteration_loop(build_runner, capsys):
    build_runner(
        custom_hooks=[dict(type='PlainCheckpoint'), dict(type='ProgressBar', disable=False)],
        train_cfg=dict(_delete_=True, by_epoch=False, max_iters=5),
        train_dataloader__sampler__type='InfiniteSampler',
        param_scheduler=[],
        default_hooks__checkpoint__by_epoch=False,
    ).train()
    assert '5/5' in capsys.readouterr().err


def test_progress_bar_is_for_terminals(build_runner, capsys):
    build_runner().train()
    assert '12/12' not in capsys.readouterr().err


def test_the_last_values_of_a_logged_quantity_are_kept(build_runner, monkeypatch, tmp_path):
    whole = build_runner(work_dir=f'{tmp_path}/whole')
    whole.train()
    monkeypatch.setattr('looc_mm.engine.hooks.KEPT', 5)
    runner = build_runner()
    runner.train()
    stored = torch.load(tmp_path / 'work/epoch_3.pth', weights_only=True)['message_hub']['log_scalars']
    for name in ('train/loss', 'train/lr'):
        every = whole.message_hub.get_scalar(name).data[0]
        kept = runner.message_hub.get_scalar(name).data[0]
        assert len(every) == 12 and kept.tolist() == every[-5:].tolist() == stored[name]['values'].tolist()
    assert all(len(history['values']) <= 5 for history in stored.values())
