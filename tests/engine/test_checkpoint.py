import errno
import re
import shutil
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer

from looc_mm.engine import PlainCheckpoint, SafeCheckpointHook


def load(path):
    return torch.load(path, weights_only=True)


def names(work_dir):
    return sorted(
        path.name for path in Path(work_dir).iterdir() if path.suffix == '.pth' or path.name == 'last_checkpoint'
    )


def test_file_loads_with_weights_only_and_holds_the_history(build_runner):
    runner = build_runner()
    runner.train()
    checkpoint = load(Path(runner.work_dir, 'epoch_3.pth'))
    history = checkpoint['message_hub']['log_scalars']['train/loss']
    values, counts = runner.message_hub.get_scalar('train/loss').data
    assert checkpoint['meta']['iter'] == 12
    assert checkpoint['state_dict']._metadata['linear'] == dict(version=1)
    assert torch.equal(history['values'], torch.from_numpy(values))
    assert torch.equal(history['counts'], torch.from_numpy(counts))


def test_resumed_run_equals_the_uninterrupted_one(build_runner, tmp_path):
    whole = build_runner()
    whole.train()
    halfway = f'{whole.work_dir}/epoch_2.pth'
    resumed = build_runner(work_dir=f'{tmp_path}/resumed', resume=True, load_from=halfway)
    resumed.train()

    assert resumed.iter == whole.iter == 12
    for name in ('train/loss', 'train/lr'):
        expected, got = (runner.message_hub.get_scalar(name) for runner in (whole, resumed))
        assert isinstance(got, HistoryBuffer)
        assert np.array_equal(got.data[0], expected.data[0])
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], weight)


def test_numpy_becomes_plain_and_objects_are_left_out(tmp_path):
    checkpoint = dict(
        state_dict=OrderedDict(weight=torch.ones(2)),
        message_hub=dict(log_scalars={'train/loss': HistoryBuffer([1.0, 2.0], [1, 1])}, runtime_info={}),
        meta=dict(
            epoch=np.int64(3),
            ratio=np.float64(0.5),
            array=np.arange(3),
            nested=[(np.float32(1), 'text')],
            milestones=Counter([5, 5]),
            path=Path('somewhere'),
            list_of_objects=[object()],
        ),
        odd=object(),
    )
    PlainCheckpoint().before_save_checkpoint(SimpleNamespace(), checkpoint)
    torch.save(checkpoint, tmp_path / 'file.pth')
    loaded = load(tmp_path / 'file.pth')

    assert torch.equal(loaded['meta'].pop('array'), torch.arange(3))
    assert loaded['meta'] == dict(epoch=3, ratio=0.5, nested=[(1.0, 'text')], milestones=Counter({5: 2}))
    assert set(loaded) == {'state_dict', 'message_hub', 'meta'}
    PlainCheckpoint().after_load_checkpoint(SimpleNamespace(), loaded)
    assert loaded['message_hub']['log_scalars']['train/loss'].mean() == 1.5


@pytest.mark.parametrize('checkpoint', [dict(state_dict={}), dict(weight=torch.ones(2))])
def test_files_without_a_message_hub_load_unchanged(checkpoint):
    loaded = dict(checkpoint)
    PlainCheckpoint().after_load_checkpoint(SimpleNamespace(), loaded)
    assert loaded == checkpoint


def test_oldest_checkpoints_are_deleted(build_runner):
    runner = build_runner(default_hooks__checkpoint__max_keep_ckpts=2)
    runner.train()
    assert names(runner.work_dir) == ['epoch_2.pth', 'epoch_3.pth', 'last_checkpoint']
    assert Path(runner.work_dir, 'last_checkpoint').read_text() == str(Path(runner.work_dir, 'epoch_3.pth'))
    assert load(Path(runner.work_dir, 'epoch_3.pth'))['message_hub']['runtime_info']['keep_ckpt_ids'] == [2, 3]


@pytest.mark.parametrize('how', ['copied', 'moved', 'without the pointer'])
def test_a_copied_or_moved_run_goes_on_from_its_own_checkpoint(build_runner, tmp_path, how):
    first = build_runner(train_cfg__max_epochs=1)
    first.train()
    here, there = Path(first.work_dir), tmp_path / 'elsewhere'
    shutil.copytree(here, there)
    (here / 'epoch_1.pth').write_bytes(b'another training')
    if how == 'moved':
        shutil.rmtree(here)
    if how == 'without the pointer':
        (there / 'last_checkpoint').unlink()
    resumed = build_runner(resume=True, work_dir=str(there))
    started = []
    resumed.register_hook(NoteStart(started), priority='LOWEST')
    resumed.train()
    assert (started, resumed.iter) == ([4], 12)
    assert names(there)[-1] == ('last_checkpoint')
    assert Path(there, 'last_checkpoint').read_text() == str(there / 'epoch_3.pth')


def test_a_work_dir_without_the_checkpoint_that_it_names_is_not_begun_again(build_runner):
    first = build_runner(train_cfg__max_epochs=1)
    first.train()
    (checkpoint := Path(first.work_dir, 'epoch_1.pth')).unlink()
    with pytest.raises(FileNotFoundError, match=f'holds no checkpoint. The last one of its training was {checkpoint}'):
        build_runner(resume=True).train()
    Path(first.work_dir, 'last_checkpoint').unlink()
    begun = build_runner(resume=True)
    begun.train()
    assert begun.iter == 12, 'a work dir without any checkpoint begins'


@pytest.mark.parametrize('metrics', ['accuracy', ['accuracy', 'loss']])
def test_a_copied_run_does_not_replace_the_best_checkpoint_of_the_original(build_runner, tmp_path, metrics):
    runner = build_runner(work_dir=str(tmp_path / 'copy'))
    listed = [metrics] if isinstance(metrics, str) else metrics
    for metric in listed:
        key = 'best_ckpt' if len(listed) == 1 else f'best_ckpt_{metric}'
        runner.message_hub.update_info(key, f'/original/best_{metric}_epoch_1.pth')
    hook = SafeCheckpointHook(save_best=metrics, rule='greater')
    hook.before_train(runner)
    found = [hook.best_ckpt_path] if len(listed) == 1 else [*hook.best_ckpt_path_dict.values()]
    assert found == [str(tmp_path / f'copy/best_{metric}_epoch_1.pth') for metric in listed]


class NoteStart(Hook):
    """Notes how many steps were done when the training starts."""

    def __init__(self, started: list[int]) -> None:
        self.started = started

    def before_train(self, runner) -> None:
        self.started.append(runner.iter)


def test_interrupted_save_leaves_the_old_checkpoint(build_runner, monkeypatch):
    write_bytes = 'mmengine.fileio.backends.local_backend.LocalBackend.put'

    def write_half(self, content, filepath):
        Path(filepath).write_bytes(content[: len(content) // 2])
        raise OSError('no space left on device')

    runner = build_runner(default_hooks__checkpoint__max_keep_ckpts=1, train_cfg__max_epochs=1)
    runner.train()
    with monkeypatch.context() as patch:
        patch.setattr(write_bytes, write_half)
        with pytest.raises(OSError, match='no space'):
            build_runner(default_hooks__checkpoint__max_keep_ckpts=1, resume=True).train()
    assert names(runner.work_dir) == ['epoch_1.pth', 'last_checkpoint']

    resumed = build_runner(default_hooks__checkpoint__max_keep_ckpts=1, resume=True)
    resumed.train()
    assert resumed.iter == 12
    assert names(runner.work_dir) == ['epoch_3.pth', 'last_checkpoint']


def test_a_full_disk_names_the_folder_and_the_bytes(build_runner, monkeypatch):
    def full(self, content, filepath):
        Path(filepath).write_bytes(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, 'No space left on device')

    runner = build_runner(train_cfg__max_epochs=1)
    monkeypatch.setattr('mmengine.fileio.backends.local_backend.LocalBackend.put', full)
    with pytest.raises(OSError, match=r'is full: epoch_1.pth needs ([\d,]+) bytes, and ') as error:
        runner.train()
    needed = int(re.search(r'needs ([\d,]+) bytes', str(error.value))[1].replace(',', ''))
    assert 4 * 2 * 4 <= needed < 2**17, 'weights and momentum of four numbers at least; random states are the most'
    assert runner.work_dir in str(error.value) and 'epoch_1.pth' not in names(runner.work_dir)


def damage(path, how):
    """Flip a bit of a tensor in a file, or cut its end off."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        largest = max(archive.infolist(), key=lambda each: each.file_size)
        content[content.index(archive.read(largest))] ^= 1
    path.write_bytes(content if how == 'flipped' else content[:-100])


@pytest.mark.parametrize('how', ['flipped', 'truncated'])
def test_a_training_does_not_start_from_a_damaged_file(build_runner, how):
    first = build_runner(train_cfg__max_epochs=2)
    first.train()
    path = Path(first.work_dir, 'epoch_2.pth')
    damage(path, how)
    for options in ({'load_from': str(path)}, {'load_from': str(path), 'resume': True}):
        with pytest.raises(ValueError, match=r'epoch_2.pth is damaged: .*epoch_1.pth is the newest whole one'):
            build_runner(**options).train()


@pytest.mark.parametrize('how', ['flipped', 'truncated'])
def test_a_resumed_training_goes_on_from_the_newest_whole_checkpoint(build_runner, how, capsys):
    whole = build_runner()
    whole.train()
    damage(Path(whole.work_dir, 'epoch_3.pth'), how)
    damage(Path(whole.work_dir, 'epoch_2.pth'), how)
    resumed = build_runner(resume=True)
    resumed.train()
    message = r'epoch_3.pth is damaged: .* The training goes on from .*epoch_1.pth, the newest whole checkpoint'
    assert re.search(message, ' '.join(capsys.readouterr().out.split()))
    assert resumed.iter == whole.iter
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name])
    damage(Path(whole.work_dir, 'epoch_1.pth'), how)
    damage(Path(whole.work_dir, 'epoch_2.pth'), how)
    damage(Path(whole.work_dir, 'epoch_3.pth'), how)
    with pytest.raises(ValueError, match=r'epoch_3.pth is damaged'):
        build_runner(resume=True).train()


@pytest.mark.parametrize('by_epoch', [True, False])
def test_weights_that_became_nan_in_the_last_step_are_not_written(build_runner, by_epoch):
    poison = [dict(type='PoisonGradient', iteration=12)]
    loop = (
        {}
        if by_epoch
        else dict(train_cfg=dict(_delete_=True, type='IterBasedTrainLoop', max_iters=12), param_scheduler=None)
    )
    rhythm = (
        {} if by_epoch else {'default_hooks__checkpoint__by_epoch': False, 'default_hooks__checkpoint__interval': 4}
    )
    runner = build_runner(custom_hooks=poison, **loop, **rhythm)
    last = Path(runner.work_dir, 'epoch_2.pth' if by_epoch else 'iter_8.pth')
    message = f'after iteration 12, the first in linear.weight; learning rate 0.0*1. .* the last good one is {last}. '
    with pytest.raises(FloatingPointError, match=message):
        runner.train()
    assert names(runner.work_dir)[-2:] == [last.name, 'last_checkpoint'] and len(names(runner.work_dir)) == 3
    assert not list(Path(runner.work_dir).glob('.*.part'))
    assert load(last)['state_dict']['linear.weight'].isfinite().all()


def test_weights_that_became_nan_before_the_first_checkpoint(build_runner):
    runner = build_runner(custom_hooks=[dict(type='PoisonGradient', iteration=4)])
    with pytest.raises(FloatingPointError, match='after iteration 4, .* the last good one is none'):
        runner.train()
    assert names(runner.work_dir) == []


@pytest.mark.parametrize('resume', [True, False])
def test_a_training_does_not_start_from_weights_that_are_nan(build_runner, resume):
    first = build_runner(train_cfg__max_epochs=1)
    first.train()
    path = Path(first.work_dir, 'epoch_1.pth')
    content = load(path)
    content['state_dict']['linear.bias'][0] = float('inf')
    torch.save(content, path)
    with pytest.raises(
        ValueError, match='epoch_1.pth holds weights that are NaN or infinite, the first in linear.bias'
    ):
        build_runner(resume=resume, load_from=str(path)).train()


class NoteNames(Hook):
    """Notes the files in the work dir after every step."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.names: list[list[str]] = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self.names.append([name for name in names(runner.work_dir) if name.endswith('.pth')])


@pytest.mark.parametrize('minutes, between', [(1e-9, True), (30, False), (None, False)])
def test_a_checkpoint_is_written_when_the_last_one_is_old(build_runner, minutes, between):
    """Epochs of four steps, and a checkpoint after the second epoch; one in between replaces the one before it."""
    runner = build_runner(
        default_hooks__checkpoint__minutes=minutes, default_hooks__checkpoint__interval=2, train_cfg__max_epochs=2
    )
    noted = NoteNames()
    runner.register_hook(noted)
    runner.train()
    assert noted.names == [[f'iter_{step}.pth'] if between else [] for step in range(1, 8)] + [
        ['iter_7.pth'] if between else []
    ]
    assert names(runner.work_dir) == ['epoch_2.pth', 'last_checkpoint']


def test_the_time_between_checkpoints_is_positive():
    with pytest.raises(ValueError, match='minutes=0; it is a positive number, or None'):
        SafeCheckpointHook(minutes=0)
