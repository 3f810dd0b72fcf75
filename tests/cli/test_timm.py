"""A backbone of timm from training to features and ONNX, as users start the commands."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from looc_mm.export import get_features

ROOT = Path(__file__).parents[2]
CONFIG = """
_base_ = '{root}/configs/looc/looc_factors.py'
model = dict(
    backbone=dict(_delete_=True, type='TimmFeatures', name='{name}'),
    neck=dict(_delete_=True, type='QueuePerHeadNeck', hid_channels=16, out_channels=8, queue_len=8),
    last_stage_per_space={plus},
)
train_dataloader = dict(batch_size=8, num_workers=0, persistent_workers=False, dataset=dict(length=16))
train_cfg = dict(max_epochs=1)
"""


def looc(*words: object, cwd: Path) -> str:
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'CUDA_VISIBLE_DEVICES': '', 'OMP_NUM_THREADS': '1'}
    line = [sys.executable, '-m', 'looc_mm', *map(str, words)]
    done = subprocess.run(line, cwd=cwd, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize('name, plus, width', [('resnet10t', False, 512), ('vit_tiny_patch16_224', True, 192)])
def test_from_training_to_features(name, plus, width, tmp_path, photographs):
    """Two steps; pictures of the size of the views and of another size."""
    pytest.importorskip('timm')
    pytest.importorskip('onnxruntime')
    (tmp_path / 'mine.py').write_text(CONFIG.format(root=ROOT, name=name, plus=plus))
    looc('train', 'mine.py', '--work-dir', 'run', cwd=tmp_path)
    for index in range(4):
        piece = photographs[0][50 * index : 50 * index + 60, :60, ::-1]
        (tmp_path / 'pictures').mkdir(exist_ok=True)
        cv2.imwrite(str(tmp_path / f'pictures/{index}.png'), piece)

    looc('extract', 'run', 'pictures', 'all.npz', '--spaces', 'V', 'color', '--workers', 0, cwd=tmp_path)
    found = np.load(tmp_path / 'all.npz')
    own = get_features(tmp_path / 'run', tmp_path / 'pictures')
    assert own.shape == (4, 3 * width if plus else width)
    torch.testing.assert_close(torch.from_numpy(found['V']), own)
    assert get_features(tmp_path / 'run', tmp_path / 'pictures', size=72).shape == own.shape

    options = ['test_dataloader.num_workers=0', 'test_cfg.train_dataloader.num_workers=0']
    options += [f'{each}.dataset.length=64' for each in ('test_dataloader', 'test_cfg.train_dataloader')]
    printed = looc('test', 'linear_eval/factors', 'run', '--protocols', 'knn', '--cfg-options', *options, cwd=tmp_path)
    assert 'knn' in printed
    looc('export', 'run', 'net.onnx', '--spaces', 'V', 'color', cwd=tmp_path)
    assert (tmp_path / 'net.onnx').exists()
    if not plus:
        looc('export', 'run', 'net.safetensors', '--format', 'timm', cwd=tmp_path)
        import timm

        network = timm.create_model(name, num_classes=0, checkpoint_path=str(tmp_path / 'net.safetensors'))
        assert sum(each.numel() for each in network.parameters()) > 0
