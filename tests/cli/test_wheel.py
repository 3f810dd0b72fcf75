"""The package without its repository: a wheel has the configs and the tools."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.cli.test_pretraining import FACTORS

ROOT = Path(__file__).parents[2]
SOURCES = ('looc_mm', 'configs', 'tools', 'model-index.yml', 'setup.py', 'pyproject.toml', 'README.md', 'LICENSE')
SITE = 'import sysconfig; print(sysconfig.get_path("purelib"))'
LOADERS = ('test_dataloader', 'test_cfg.train_dataloader')


def run(*words: object, **options) -> str:
    """Start Python; returns what it printed."""
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, timeout=600, **options)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> Path:
    source = tmp_path_factory.mktemp('source')
    for name in SOURCES:  # a copy, as building writes into the folder
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    build = ['-m', 'pip', 'wheel', source, '--no-deps', '--no-index', '--no-build-isolation', '--wheel-dir', source]
    run(*build, env={**os.environ, 'PYTHONPATH': ''})
    (found,) = source.glob('*.whl')
    return found


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory) -> Path:
    """A folder with the installed package."""
    folder = tmp_path_factory.mktemp('installed')
    run('-m', 'pip', 'install', '--no-deps', '--no-index', '--target', folder, wheel)
    return folder


@pytest.fixture
def looc(wheel, tmp_path):
    """Start the command ``looc`` of an environment with the wheel and the packages of this one but looc_mm.

    It returns what the command printed. The working directory is ``tmp_path``.
    """
    environment = tmp_path / 'environment'
    run('-m', 'venv', '--without-pip', environment)
    python = environment / 'bin/python'
    folder = Path(subprocess.check_output([python, '-c', SITE], text=True).strip())
    # A .pth file adds the folder alone, so that an editable install of looc_mm in it is not found.
    (folder / 'below.pth').write_text(subprocess.check_output([sys.executable, '-c', SITE], text=True))
    run('-m', 'pip', '--python', python, 'install', '--no-deps', '--no-index', '--ignore-installed', wheel)
    env = {**os.environ, 'PYTHONPATH': '', 'CUDA_VISIBLE_DEVICES': '', 'OMP_NUM_THREADS': '1'}
    here = {'cwd': tmp_path, 'env': env, 'capture_output': True, 'text': True, 'timeout': 600}

    def start(*words: object) -> str:
        done = subprocess.run([environment / 'bin/looc', *map(str, words)], **here)
        assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
        return done.stdout

    found = subprocess.run([python, '-c', 'import looc_mm; print(looc_mm.__file__)'], **here).stdout
    assert found.startswith(str(folder)), found
    return start


def write_pictures(folder: Path, photograph: np.ndarray, count: int) -> None:
    folder.mkdir(parents=True)
    for index in range(count):
        piece = photograph[16 * index : 16 * index + 96, 20 * index : 20 * index + 128]
        cv2.imwrite(str(folder / f'{index}.jpg'), piece[..., ::-1])


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
    factors = {record.get('factor') for record in json.loads(results.read_text())}
    assert factors == {'shape', 'color', 'texture', 'rotation', 'x', 'y', 'size', 'angle'}


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
    assert (installed / 'looc_mm/.mim/model-index.yml').exists()


@pytest.mark.slow
def test_from_ten_pictures_to_a_network(looc, tmp_path, photographs):
    write_pictures(tmp_path / 'pictures', photographs[0], 10)
    for name, photograph in zip(('temple', 'flower'), photographs, strict=True):
        write_pictures(tmp_path / 'labelled' / name, photograph, 16)

    looc('pretrain', 'pictures', '--out', 'run', '--epochs', 2, '--size', 32, '--network', 'resnet18-narrow')
    looc('test', 'run', 'labelled', '--work-dir', 'answer')
    assert {'answer.json', 'answer.png'} <= {path.name for path in tmp_path.glob('answer/*')}

    looc('extract', 'run', 'pictures', 'features.npz', '--spaces', 'V', 'all', '--size', 32)
    features = np.load(tmp_path / 'features.npz')
    assert set(features.files) == {'path', 'V', 'invariant', 'rotation', 'color'}
    assert {len(features[name]) for name in features.files} == {10}

    pytest.importorskip('safetensors')
    assert 'Loads as ResNet' in looc('export', 'run', 'network.safetensors')
    assert (tmp_path / 'network.safetensors').stat().st_size > 0
