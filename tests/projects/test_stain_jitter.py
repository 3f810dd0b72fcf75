"""The example package, installed as its users install it and found without an import."""

import os
import shutil
import subprocess
import sys
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


def python(*arguments: str | Path, path: Path) -> str:
    environment = {**os.environ, 'PYTHONPATH': f'{path}{os.pathsep}{ROOT}', 'OMP_NUM_THREADS': '1'}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_found_by_its_entry_point(tmp_path):
    shutil.copytree(PROJECT, tmp_path / 'source')  # a build writes beside its source
    site = tmp_path / 'site'
    install = ['-m', 'pip', 'install', '--no-deps', '--no-index', '--no-build-isolation', '--target', site]
    python(*install, tmp_path / 'source', path=tmp_path)
    printed = python('-c', FOUND, path=site)
    assert 'StainJitter(scale=0.2' in printed
    assert "('invariant', 'rotation', 'stain')" in printed


def test_its_own_test():
    python('-m', 'pytest', '-q', '-p', 'no:cacheprovider', PROJECT, path=PROJECT)
