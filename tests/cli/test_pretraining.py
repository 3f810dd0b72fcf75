"""Pretraining as users start it: on their own pictures, on two processes, resumed, and evaluated afterwards."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch

ROOT = Path(__file__).parents[2]
SMALL = [  # a network of toy size
    'model.backbone.stem_channels=8',
    'model.backbone.base_channels=8',
    'model.neck.in_channels=64',
    'model.neck.queue_len=64',
    'model.data_preprocessor.pipeline.augmentations.0.size=32',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
]
FACTORS = [*SMALL, 'train_dataloader.batch_size=8', 'train_dataloader.dataset.length=48', 'train_cfg.max_epochs=2']


def run(*command: str | Path, fails: bool = False) -> str:
    """Start a tool; returns its standard error if it is to fail, else what it printed."""
    environment = {
        **os.environ,
        'CUDA_VISIBLE_DEVICES': '',
        'OMP_NUM_THREADS': '1',
        'PYTHON': sys.executable,
        'PORT': str(free_port()),
    }
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=600)
    assert (done.returncode != 0) == fails, done.stderr[-3000:]
    return done.stderr if fails else done.stdout


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def train(config: str | Path, work_dir: Path, options: list[str], *flags: str | Path, fails: bool = False) -> str:
    command = [sys.executable, ROOT / 'tools/train.py', ROOT / 'configs' / config, '--work-dir', work_dir]
    return run(*command, *flags, '--cfg-options', *options, fails=fails)


@pytest.fixture
def pictures(tmp_path, photographs) -> Path:
    """Twelve pictures, unlabelled, at different depths."""
    folder = tmp_path / 'pictures'
    for index in range(12):
        path = folder / ('', 'a', 'a/b')[index % 3] / f'{index}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        piece = photographs[index % 2][10 * index : 10 * index + 200, 20 * index : 20 * index + 300]
        cv2.imwrite(str(path), piece[..., ::-1])
    return folder


def own(pictures: Path, batch: int = 4) -> list[str]:
    return [
        *SMALL,
        f'train_dataloader.dataset.data_root={pictures}',
        'train_dataloader.dataset.data_prefix=',
        f'train_dataloader.batch_size={batch}',
        'train_cfg.max_epochs=2',
    ]


def test_own_pictures(pictures, tmp_path):
    train('looc/looc_r18_imagenette.py', tmp_path / 'own', own(pictures), '--amp')
    checkpoint = torch.load(tmp_path / 'own/epoch_2.pth', weights_only=True)
    assert checkpoint['meta']['iter'] == 6
    assert 'neck.queues.color.keys' in checkpoint['state_dict']
    log = next((tmp_path / 'own').glob('*/vis_data/scalars.json')).read_text().splitlines()
    logged = json.loads(log[-1])
    assert {
        f'{figure}_{space}'
        for figure in ('loss', 'top1', 'pos', 'others')
        for space in ('invariant', 'rotation', 'color')
    } <= set(logged)
    assert {'k_color_rotation', 'k_0_color', 'P_color'} <= set(logged)


def test_views_made_in_the_dataset_pipeline(pictures, tmp_path):
    """LeaveOneOutPipeline as a transform in the workers, between MMPreTrain's loading and packing."""
    config = tmp_path / 'workers.py'
    config.write_text(f"""
_base_ = ['{ROOT}/configs/_base_/schedules/adamw_cosine_short.py', '{ROOT}/configs/_base_/default_runtime.py']
crop = dict(type='RandomResizedCrop', size=32)
turn, color = dict(type='RandomRightAngleRotation'), dict(type='ColorJitter')
train_dataloader = dict(
    batch_size=4, num_workers=1, drop_last=True, collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='ImageFolder', data_root='{pictures}', pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LeaveOneOutPipeline', augmentations=[crop, turn, color], leave_one_out=['rotation', 'color']),
        dict(type='PackInputs', meta_keys=('views',))]))
model = dict(
    type='MultiHeadMoCo', spaces=['invariant', 'rotation', 'color'],
    data_preprocessor=dict(
        type='SelfSupDataPreprocessor', mean=[123.7, 116.3, 103.5], std=[58.4, 57.1, 57.4], to_rgb=True),
    backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8),
    neck=dict(type='QueuePerHeadNeck', in_channels=64, queue_len=16), head=dict(type='LooCLoss'))
train_cfg = dict(max_epochs=2)
""")
    train(config, tmp_path / 'work', ['log_level=INFO'])
    assert (tmp_path / 'work/epoch_2.pth').exists()
    message = train(config, tmp_path / 'other', ['model.spaces=[invariant,color,rotation]'], fails=True)
    assert "makes the views ['q', 'k_0', 'k_rotation', 'k_color']" in message and "'k_color', 'k_rotation']" in message


def test_errors_before_hours(pictures, tmp_path):
    looc, work = 'looc/looc_r18_imagenette.py', tmp_path / 'none'
    assert 'does not fill a batch of 64' in train(looc, work, own(pictures, batch=64), fails=True)
    message = train(looc, work, [*own(pictures), 'model.neck.queue_len=30'], fails=True)
    assert 'model.neck.queue_len=30 is no multiple of the batch' in message
    message = train(looc, work, own(tmp_path / 'nowhere'), fails=True)
    assert 'FileNotFoundError' in message and 'nowhere' in message
    leave = 'model.data_preprocessor.pipeline.leave_one_out=[rotation,texture]'
    assert "['texture'], which no augmentation of the list owns" in train(
        looc, work, [*own(pictures), leave], fails=True
    )
    assert not list(work.glob('*.pth'))


@pytest.mark.slow
def test_two_processes_resume_and_evaluate(tmp_path):
    """dist_train.sh on two CPU processes; a resumed run ends where the uninterrupted one does."""
    whole, parts = tmp_path / 'whole', tmp_path / 'parts'
    config = ROOT / 'configs/looc/looc_factors.py'
    launch = [ROOT / 'tools/dist_train.sh', config, '2']
    options = ['--cfg-options', *FACTORS, 'default_hooks.checkpoint.interval=1']
    run(*launch, '--work-dir', whole, *options)
    parts.mkdir()
    (parts / 'epoch_1.pth').write_bytes((whole / 'epoch_1.pth').read_bytes())
    (parts / 'last_checkpoint').write_text(str(parts / 'epoch_1.pth'))
    run(*launch, '--work-dir', parts, '--resume', *options)
    states = [torch.load(folder / 'epoch_2.pth', weights_only=True)['state_dict'] for folder in (whole, parts)]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        if 'running_' not in name:  # saved from rank 0, and each process resumes from those
            assert torch.allclose(value, states[1][name], atol=1e-6), name

    small = ['test_dataloader.dataset.length=64', 'test_cfg.train_dataloader.dataset.length=64']
    evaluate = ['--work-dir', tmp_path / 'probe', '--cfg-options', *small]
    run(
        sys.executable,
        ROOT / 'tools/test.py',
        ROOT / 'configs/linear_eval/factors.py',
        whole / 'epoch_2.pth',
        *evaluate,
    )
    records = json.loads((tmp_path / 'probe/results.json').read_text())
    factors = {'shape', 'color', 'texture', 'rotation', 'x', 'y', 'size', 'angle'}
    assert {record.get('factor') for record in records} == factors

    message = run(
        *launch,
        '--work-dir',
        parts,
        '--resume',
        *options,
        'model.data_preprocessor.pipeline.leave_one_out=[color]',
        fails=True,
    )
    assert (
        "The checkpoint has the spaces ['invariant', 'rotation', 'color'] and the model ['invariant', 'color']"
        in message
    )
