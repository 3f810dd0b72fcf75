"""What two gloo processes found, once for all tests that compare with it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

REPO = Path(__file__).parents[2]


@pytest.fixture(scope='session')
def ranks(tmp_path_factory) -> list[dict]:
    out = tmp_path_factory.mktemp('two')
    torchrun = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    script = str(Path(__file__).parent / 'two_processes.py')
    environment = {**os.environ, 'CUDA_VISIBLE_DEVICES': '', 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(REPO)}
    run = subprocess.run([*torchrun, script, str(out)], env=environment, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-3000:]
    return [torch.load(out / f'{rank}.pth') for rank in range(2)]
