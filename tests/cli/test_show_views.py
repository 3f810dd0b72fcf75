"""tools/show_views.py as users start it."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def show(*arguments: str | Path) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / 'tools/show_views.py', *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize('given', [True, False])
def test_draws_pictures_and_training_data(given, tmp_path, photographs):
    photo, out = tmp_path / 'photo.jpg', tmp_path / 'new' / 'views.png'
    cv2.imwrite(str(photo), photographs[0][..., ::-1])
    run = show(ROOT / 'configs/looc/looc_factors.py', *([photo] if given else ['--rows', '2']), '--out', out)
    assert run.returncode == 0, run.stderr
    assert 'q, k_0, k_rotation, k_color' in run.stdout
    picture = cv2.imread(str(out))
    assert picture.shape[1] > 1000
    assert np.unique(picture.reshape(-1, 3), axis=0).shape[0] > 1000, 'a picture, not a blank page'


def test_an_undecodable_picture_is_named(tmp_path):
    broken = tmp_path / 'broken.jpg'
    broken.write_bytes(b'no picture')
    run = show(ROOT / 'configs/looc/looc_factors.py', broken)
    assert run.returncode == 1
    assert str(broken) in run.stderr and 'decode' in run.stderr
