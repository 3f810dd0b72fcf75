"""Trainings of their own processes, which get a signal."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from looc_mm.stop import STOPPED

REPO = Path(__file__).parents[2]


@pytest.fixture
def environment():
    return {
        **os.environ,
        'PYTHON': sys.executable,
        'PYTHONPATH': f'{REPO}:{Path(__file__).parent}',
        'CUDA_VISIBLE_DEVICES': '',
        'OMP_NUM_THREADS': '1',
    }


def test_ctrl_c_in_a_terminal(toy_config, tmp_path, environment):
    """The terminal sends it to the training and to its workers."""
    endless = ['train_cfg.max_epochs=1000000', 'train_dataloader.num_workers=2', 'default_hooks.checkpoint.interval=5']
    command = [sys.executable, REPO / 'tools/train.py', toy_config, '--cfg-options', *endless]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        while not (tmp_path / 'work/last_checkpoint').exists():
            assert process.poll() is None, process.stderr and process.stderr.read()
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=120)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == STOPPED, errors
    assert '\nSIGINT: the training stops when a checkpoint is written' in errors
    last = Path((tmp_path / 'work/last_checkpoint').read_text())
    assert last.name == f'iter_{torch.load(last, weights_only=True)["meta"]["iter"]}.pth'


@pytest.mark.slow
def test_two_processes_stop_together_and_are_resumed(toy_config, tmp_path, environment):
    def run(work_dir, *options):
        command = [REPO / 'tools/dist_train.sh', toy_config, '2', '--work-dir', tmp_path / work_dir, *options]
        done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=500)
        return done.returncode, done.stdout + done.stderr

    original = toy_config.read_text()
    hooks = "custom_hooks = [dict(type='DumpWeights')]\n"
    toy_config.write_text(original + hooks)
    code, said = run('whole', '--cfg-options', 'train_dataloader.batch_size=2')
    assert code == 0, said
    toy_config.write_text(original + "custom_hooks = [dict(type='SignalItself', iteration=6, rank=1)]\n")
    code, said = run('parts', '--cfg-options', 'train_dataloader.batch_size=2')
    assert code == STOPPED, said
    (stopped,) = (tmp_path / 'parts').glob('iter_*.pth')
    assert stopped.name in ('iter_6.pth', 'iter_7.pth'), 'the processes agree while they do the next step'
    toy_config.write_text(original + hooks)
    code, said = run('parts', '--resume', '--cfg-options', 'train_dataloader.batch_size=2')
    assert code == 0, said
    for rank in (0, 1):
        whole, parts = (torch.load(tmp_path / folder / f'rank_{rank}.pth') for folder in ('whole', 'parts'))
        done = int(stopped.stem.partition('_')[2])
        assert torch.equal(whole[1][2 * done :], parts[1]), 'the batches that are left'
        for name, weight in whole[0].items():
            assert torch.equal(weight, parts[0][name])
