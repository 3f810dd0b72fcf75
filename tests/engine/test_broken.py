"""A training counts and lists the pictures that it replaces, and stops when they are too many."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from looc_mm.engine import BrokenPictures

REPO = Path(__file__).parents[2]


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Twenty pictures."""
    root = tmp_path / 'pictures'
    root.mkdir()
    rng = np.random.default_rng(0)
    for row in range(20):
        cv2.imwrite(str(root / f'{row:02}.jpg'), rng.integers(0, 256, (40, 40, 3), dtype=np.uint8))
    return root


def train(pictures: Path, work: Path, *options: str) -> tuple[int, str]:
    """Train a small network for two epochs; the exit status, and what was printed."""
    words = ['train', 'looc_r18_folder', '--data-root', pictures, '--work-dir', work, '--cfg-options']
    words += ['train_cfg.max_epochs=2', 'train_dataloader.batch_size=4', 'train_dataloader.num_workers=2']
    words += ['model.neck.queue_len=4', 'train_dataloader.dataset.pipeline.0.ignore_broken=True', *options]
    done = subprocess.run(
        [sys.executable, '-m', 'looc_mm', *map(str, words)],
        env=os.environ | {'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(REPO)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_too_many_broken_pictures_stop_a_training(pictures, tmp_path):
    for row in range(18):
        (pictures / f'{row:02}.jpg').write_bytes(b'')
    status, printed = train(pictures, tmp_path / 'work')
    assert status == 2, printed[-3000:]
    assert '18 of 20 pictures are broken, more than 1 %' in printed and 'Traceback' not in printed
    listed = (tmp_path / 'work/broken_pictures.txt').read_text().splitlines()
    assert len(listed) == 18 and listed[0] == f'{pictures / "00.jpg"}\tis empty (0 bytes)'
    assert not list((tmp_path / 'work').glob('*.pth'))


@pytest.mark.slow
@pytest.mark.parametrize('method', ['spawn', 'forkserver'])
def test_some_broken_pictures_are_allowed_whatever_the_workers(pictures, tmp_path, method):
    (pictures / '03.jpg').write_bytes(b'')
    options = ['default_hooks.broken.share=0.06', f'env_cfg.mp_cfg.mp_start_method={method}']
    status, printed = train(pictures, tmp_path / 'work', *options)
    assert status == 0, printed[-3000:]
    assert '1 pictures are broken, and others replace them' in printed and '03.jpg' in printed
    assert (tmp_path / 'work/broken_pictures.txt').read_text().count('\n') == 1


def test_the_arguments_are_checked():
    for wrong in (dict(share=2), dict(share=-0.1), dict(interval=0)):
        with pytest.raises(ValueError, match='allowed: 0 to 1'):
            BrokenPictures(**wrong)
