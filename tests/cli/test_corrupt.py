"""tools/corrupt.py as users start it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from torchvision import transforms

from looc_mm.corruptions import CORRUPTIONS, SEVERITIES
from looc_mm.corruptions.tree import Settings, corrupt_tree, output_name, prepare

TOOL = Path(__file__).parents[2] / 'tools/corrupt.py'


def command(*arguments: str | Path) -> list[str]:
    return list(map(str, [sys.executable, TOOL, *arguments]))


def environment() -> dict[str, str]:
    return {**os.environ, 'OMP_NUM_THREADS': '1'}


def run(*arguments: str | Path, fails: bool = False) -> str:
    """Start the tool; returns all that it printed."""
    done = subprocess.run(command(*arguments), env=environment(), capture_output=True, text=True, timeout=300)
    assert (done.returncode != 0) == fails, done.stderr[-3000:]
    return done.stdout + done.stderr


def files(out: Path) -> dict[str, bytes]:
    found = (path for path in sorted(out.rglob('*')) if path.suffix.lower() in ('.jpg', '.jpeg'))  # no part of one
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in found}


@pytest.fixture
def source(tmp_path, photographs) -> Path:
    for index, name in enumerate(['a/0.jpg', 'a/1.JPEG', 'b/2.png', 'b/deep/3.jpg']):
        path = tmp_path / 'in' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), photographs[index % 2][200 + 20 * index : 261 + 20 * index, : 70 + 20 * index, ::-1])
    return tmp_path / 'in'


def test_layout_workers_and_a_broken_picture(source, tmp_path):
    (source / 'broken.jpg').write_bytes(b'no picture')
    told = run(source, tmp_path / '0', '--keep-size', '--workers', '0', fails=True)
    assert '300 pictures made, 0 were finished before, 1 sources are broken' in told
    assert f'Broken: {source / "broken.jpg"}: is not a picture' in told
    assert 'frost is procedural here' in told and 'img/s]' in told
    made = files(tmp_path / '0')
    names = ['a/0.jpg', 'a/1.JPEG', 'b/2.jpg', 'b/deep/3.jpg']
    versions = [f'{each}/{severity}' for each in CORRUPTIONS for severity in SEVERITIES]
    assert set(made) == {f'{version}/{name}' for version in versions for name in names}
    some = ['--corruptions', 'weather', 'glass_blur', 'elastic_transform', '--severities', '5', '2']
    run(source, tmp_path / '2', '--keep-size', '--workers', '2', *some, fails=True)
    few = files(tmp_path / '2')
    assert len(few) == 48 and few.items() <= made.items()
    assert cv2.imread(str(tmp_path / '0/fog/3/b/deep/3.jpg')).shape == (61, 130, 3)


def test_an_interrupted_run_is_completed(source, tmp_path):
    for index in range(30):  # enough for the signal to come in between
        (source / f'copy{index}.jpg').write_bytes((source / 'a/0.jpg').read_bytes())
    out = tmp_path / 'out'
    chosen = [source, out, '--corruptions', 'blur', 'snow', '--severities', '5', '2', '--workers', '0', '--size', '96']
    process = subprocess.Popen(
        command(*chosen), env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 120
    while len(files(out)) < 20 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    begun = files(out)
    assert 20 <= len(begun) < 340
    told = run(*chosen)
    made, finished = (int(part.split()[-1]) for part in (told.split(' pictures made')[0], told.split(' were')[0]))
    assert finished >= 20 and made + finished == 340
    whole = files(out)
    assert len(whole) == 340 and begun.items() <= whole.items()
    assert cv2.imread(str(out / 'snow/5/copy3.jpg')).shape == (96, 96, 3)
    assert whole['snow/5/copy3.jpg'] != whole['snow/5/copy4.jpg'], 'each picture has draws of its own'
    assert "were made with other settings, (then, now): {'seed': (0, 1)}" in run(*chosen, '--seed', '1', fails=True)


def test_wrong_arguments(source, tmp_path):
    assert "invalid choice: 'rain'" in run(source, tmp_path / 'out', '--corruptions', 'rain', fails=True)
    with pytest.raises(ValueError, match='lacks frost1.png'):
        Settings(frost_dir=str(tmp_path))
    with pytest.raises(ValueError, match='would be corrupted again'):
        corrupt_tree(source, source / 'out', [CORRUPTIONS['fog']])
    with pytest.raises(ValueError, match='severities'):
        corrupt_tree(source, tmp_path / 'out', [CORRUPTIONS['fog']], [6])
    with pytest.raises(ValueError, match='quality from 1 to 100'):
        Settings(quality=0)
    (source / 'b/2.jpg').write_bytes(b'')
    with pytest.raises(ValueError, match='would all become b/2.jpg'):
        corrupt_tree(source, tmp_path / 'out', [CORRUPTIONS['fog']])
    assert [output_name(name) for name in ('a/b.JPG', 'a/b.c.webp')] == ['a/b.JPG', 'a/b.c.jpg']


@pytest.mark.parametrize('shape', [(427, 640), (300, 201), (90, 100)])
def test_pictures_are_cut_as_imagenet_c(photographs, shape):
    photo = photographs[0][: shape[0], : shape[1]]
    cut = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224)])(Image.fromarray(photo))
    assert np.abs(prepare(photo, 224) - np.asarray(cut, int)).max() <= 1
