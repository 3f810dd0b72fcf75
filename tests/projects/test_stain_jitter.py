"""The example package, installed as its users install it and found without an import."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / 'projects/stain_jitter'
FOUND = f"""
from mmengine.config import Config
from looc_mm.registry import AUGMENTATIONS, TRANSFORMS
print(AUGMENTATIONS.build(dict(type='StainJitter')))
pipeline = Config.fromfile('{PROJECT}/looc_stain.py').model.data_preprocessor.pipeline
print(TRANSFORMS.build(pipeline).spaces)
"""


def python(*arguments: str | Path, executable: str | Path = sys.executable, **environment: str) -> str:
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', **environment}
    command = [str(executable), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_found_by_its_entry_point_in_a_fresh_virtual_environment(tmp_path):
    shutil.copytree(PROJECT, tmp_path / 'source')  # a build writes beside its source
    venv.create(tmp_path / 'env', symlinks=True)
    fresh = tmp_path / 'env/bin/python'
    packages = Path(python('-c', "import sysconfig; print(sysconfig.get_path('purelib'))", executable=fresh).strip())
    # What setup.py asks for, PyTorch among it, is borrowed from here; only the plug-in is installed.
    (packages / 'borrowed.pth').write_text(f'{sysconfig.get_path("purelib")}\n{ROOT}\n')
    offline = ['--no-deps', '--no-index', '--no-build-isolation']
    python('-m', 'pip', '--python', fresh, 'install', *offline, tmp_path / 'source')
    assert list(packages.glob('looc_mm_stain*.dist-info'))
    printed = python('-c', FOUND, executable=fresh)
    assert 'StainJitter(scale=0.2' in printed
    assert "('invariant', 'rotation', 'stain')" in printed


def test_its_own_test():
    python('-m', 'pytest', '-q', '-p', 'no:cacheprovider', PROJECT, PYTHONPATH=f'{PROJECT}{os.pathsep}{ROOT}')
