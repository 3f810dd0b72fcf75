"""The package without its repository: a wheel has the configs and the tools."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.cli.test_pretraining import FACTORS

ROOT = Path(__file__).parents[2]
SOURCES = ('looc_mm', 'configs', 'tools', 'setup.py', 'pyproject.toml', 'README.md', 'LICENSE')
LOADERS = ('test_dataloader', 'test_cfg.train_dataloader')


def run(*words: object, **options) -> str:
    """Start Python; returns what it printed."""
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, timeout=600, **options)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope='module')
def installed(tmp_path_factory) -> Path:
    """A folder with the installed package."""
    source, folder = tmp_path_factory.mktemp('source'), tmp_path_factory.mktemp('installed')
    for name in SOURCES:  # a copy, as building writes into the folder
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    wheel = ['-m', 'pip', 'wheel', source, '--no-deps', '--no-index', '--no-build-isolation', '--wheel-dir', source]
    run(*wheel, env={**os.environ, 'PYTHONPATH': ''})
    run('-m', 'pip', 'install', '--no-deps', '--no-index', '--target', folder, *source.glob('*.whl'))
    return folder


@pytest.mark.slow
def test_trains_and_evaluates_by_name(installed, tmp_path):
    here = {'cwd': tmp_path, 'env': {**os.environ, 'PYTHONPATH': str(installed), 'CUDA_VISIBLE_DEVICES': ''}}
    assert run('-c', 'import looc_mm; print(looc_mm.__file__)', **here).startswith(str(installed))
    assert 'looc/looc_factors' in run('-m', 'looc_mm', 'list', 'configs', **here)

    steps = [*FACTORS, 'train_dataloader.dataset.length=16', 'train_cfg.max_epochs=1']
    run('-m', 'looc_mm', 'train', 'looc_factors', '--cfg-options', *steps, **here)
    checkpoint = tmp_path / 'work_dirs/looc_factors/epoch_1.pth'
    assert torch.load(checkpoint, weights_only=True)['meta']['iter'] == 2

    small = [f'{loader}.{option}' for loader in LOADERS for option in ('dataset.length=64', 'num_workers=0')]
    run('-m', 'looc_mm', 'test', 'linear_eval/factors', checkpoint, '--cfg-options', *small, **here)
    (results,) = tmp_path.glob('work_dirs/linear_eval/factors/*/results.json')
    assert {record.get('factor') for record in json.loads(results.read_text())} == {
        'shape',
        'color',
        'texture',
        'rotation',
    }


@pytest.mark.slow
def test_the_suite_starts_the_tools_of_the_package(installed, tmp_path):
    here = {'cwd': tmp_path, 'env': {**os.environ, 'PYTHONPATH': str(installed), 'CUDA_VISIBLE_DEVICES': ''}}
    small = [f'{loader}.{option}' for loader in LOADERS for option in ('dataset.length=64', 'num_workers=0')]
    names = ['looc_factors', '--evaluate', 'linear_eval/factors', '--epochs', '0', '--records', 'records']
    run('-m', 'looc_mm', 'suite', *names, '--cfg-options', *FACTORS, '--evaluate-options', *small, **here)
    (record,) = (tmp_path / 'records').iterdir()
    assert json.loads(record.read_text())['config'] == 'configs/looc/looc_factors.py'
    assert os.access(installed / 'looc_mm/.mim/tools/dist_train.sh', os.X_OK)
    assert not (installed / 'looc_mm/.mim/tools/paper_tables.py').exists(), 'it needs projects/'
