"""tools/stylize.py as users start it, and a training step on what it made."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.dataset import default_collate
from mmengine.optim import OptimWrapper

from looc_mm.datasets import ImageFolder
from looc_mm.registry import MODELS, TRANSFORMS

TOOL = Path(__file__).parents[2] / 'tools/stylize.py'
WARNING = 'RANDOM WEIGHTS: these pictures are NO stylisations'


def stylize(*arguments: str | Path, fails: bool = False) -> str:
    """Start the tool; returns all that it printed."""
    done = subprocess.run(command(*arguments), env=environment(), capture_output=True, text=True, timeout=300)
    assert (done.returncode != 0) == fails, done.stderr[-3000:]
    return done.stdout + done.stderr


def command(*arguments: str | Path) -> list[str]:
    return list(map(str, [sys.executable, TOOL, *arguments, '--size', '32', '--device', 'cpu']))


def environment() -> dict[str, str]:
    return {**os.environ, 'OMP_NUM_THREADS': '1'}


def files(out: Path) -> dict[str, bytes]:
    found = (path for path in sorted(out.rglob('*-stylized-*')) if not path.name.startswith('.'))  # no part of one
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


@pytest.fixture
def folders(tmp_path, photographs) -> tuple[Path, Path]:
    for index in range(8):
        for folder in (f'in/{"ab"[index % 2]}', 'art'):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            piece = photographs[index % 2][20 * index : 20 * index + 80, : 100 + 20 * (index % 3)]
            cv2.imwrite(str(tmp_path / folder / f'{folder[-1]}{index}.jpg'), piece[..., ::-1])
    return tmp_path / 'in', tmp_path / 'art'


def test_workers_change_nothing_and_a_broken_picture_is_told(folders, tmp_path):
    (folders[0] / 'broken.jpg').write_bytes(b'no picture')
    for workers in '02':
        told = stylize(*folders, tmp_path / workers, '--random-weights', '--workers', workers, fails=True)
        assert told.count(WARNING) == 2
        assert '8 pictures stylised in 4 ways, 0 were finished before, 1 are broken' in told
        assert f'Broken: {folders[0] / "broken.jpg"}' in told
        assert 'no stylisations' in (tmp_path / workers / 'RANDOM_WEIGHTS.txt').read_text()
    assert len(files(tmp_path / '0')) == 32
    assert files(tmp_path / '0') == files(tmp_path / '2')


def test_an_interrupted_run_is_completed_and_trained_on(folders, tmp_path):
    for index in range(32):  # enough for the signal to come in between
        (folders[0] / f'copy{index}.jpg').write_bytes((folders[0] / 'b/b1.jpg').read_bytes())
    out = tmp_path / 'out'
    slow = [*folders, out, '--random-weights', '--workers', '0', '--batch-size', '1']
    process = subprocess.Popen(command(*slow), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while len(files(out)) < 6 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    begun = files(out)
    assert 6 <= len(begun) < 160
    assert all(cv2.imread(str(out / name)) is not None for name in begun), 'what has its name is whole'
    told = stylize(*slow)
    stylized, finished = (int(part.split()[-1]) for part in (told.split(' pictures')[0], told.split(' were')[0]))
    assert finished >= 1 and stylized + finished == 40
    whole = files(out)
    assert len(whole) == 160 and begun.items() <= whole.items(), 'a picture at a time rounds alike'
    assert '0 pictures stylised in 4 ways, 40 were finished before' in stylize(*slow)
    train(folders[0] / 'a', out / 'a')


def train(source: Path, stylized: Path) -> None:
    """One step of LooC with a texture space, on what the tool wrote."""
    steps = [
        dict(type='LoadCanvas', size=32),
        dict(type='LoadStylized', source=str(source), stylized=str(stylized)),
        dict(type='PackCanvas'),
    ]
    dataset = ImageFolder(str(source), pipeline=[TRANSFORMS.build(step) for step in steps])
    batch = default_collate([dataset[index] for index in range(4)])
    assert batch['inputs'].shape == (4, 3, 32, 32) and batch['candidates'].shape == (4, 4, 3, 32, 32)
    augmentations = ['StylizedTexture', dict(type='RandomResizedCrop', size=32), 'ColorJitter']
    pipeline = dict(
        type='LeaveOneOutPipeline',
        augmentations=[dict(type=each) if isinstance(each, str) else each for each in augmentations],
        leave_one_out=['texture', 'color'],
    )
    model = MODELS.build(
        dict(
            type='MultiHeadMoCo',
            data_preprocessor=dict(type='LeaveOneOutPreprocessor', pipeline=pipeline),
            backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
            neck=dict(type='QueuePerHeadNeck', in_channels=64, hid_channels=16, out_channels=8, queue_len=16),
            head=dict(type='LooCLoss'),
        )
    )
    logged = model.train_step(batch, OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.01)))
    assert logged['loss'].isfinite()
    assert {'loss_texture', 'loss_color'} <= set(logged)
    with torch.no_grad():
        plain = model.data_preprocessor(batch, training=False)['inputs']
    assert plain.shape == (4, 3, 32, 32)


def test_wrong_arguments(folders, tmp_path):
    message = stylize(*folders, tmp_path / 'out', '--random-weights', '--vgg', 'v.pth', fails=True)
    assert 'give both --vgg and --decoder, or --random-weights alone' in message
    assert 'gone.pth' in stylize(*folders, tmp_path / 'out', '--vgg', 'gone.pth', '--decoder', 'gone.pth', fails=True)
    assert not (tmp_path / 'out').exists()
