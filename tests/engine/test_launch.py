import contextlib
import ctypes
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from looc_mm.engine import setup_launch, shorten_schedule
from looc_mm.engine.launch import explain_shared_memory, keep_config, slow_without_gpu, spare_threads

REPO = Path(__file__).parents[2]


@pytest.fixture
def cpu_only(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)


def test_single_process_needs_no_wrapper():
    cfg = Config(dict(env_cfg=dict(dist_cfg=dict(backend='nccl'))))
    setup_launch(cfg, 'none')
    assert cfg.launcher == 'none'
    assert 'model_wrapper_cfg' not in cfg


def test_gpus_are_left_to_mmengine(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    cfg = Config(dict(env_cfg=dict(dist_cfg=dict(backend='nccl')), model_wrapper_cfg=dict(find_unused_parameters=True)))
    setup_launch(cfg, 'slurm')
    assert not torch.distributed.is_initialized()
    assert cfg.env_cfg.dist_cfg.backend == 'nccl'
    assert cfg.model_wrapper_cfg == dict(
        type='MMDistributedDataParallel', broadcast_buffers=False, find_unused_parameters=True
    )


@pytest.mark.parametrize(
    'launcher, named', [('horovod', 'none'), ('slurm', "'none' or 'pytorch'"), ('pytorch', 'dist_train.sh')]
)
def test_impossible_launchers_are_refused(cpu_only, monkeypatch, launcher, named):
    monkeypatch.delenv('RANK', raising=False)
    with pytest.raises(ValueError, match=named):
        setup_launch(Config(), launcher)


def test_two_processes_train_one_model_on_the_cpu(toy_config, tmp_path):
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        port = probe.getsockname()[1]
    environment = dict(
        os.environ,
        PYTHON=sys.executable,
        PYTHONPATH=str(Path(__file__).parent),
        CUDA_VISIBLE_DEVICES='',
        OMP_NUM_THREADS='1',
        PORT=str(port),
    )
    with toy_config.open('a') as file:
        file.write("custom_hooks = [dict(type='DumpWeights')]\n")
    script = REPO / 'tools/dist_train.sh'
    done = subprocess.run(
        [script, toy_config, '2', '--amp'], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr

    (weights, inputs), (other_weights, other_inputs) = (torch.load(tmp_path / f'work/rank_{r}.pth') for r in (0, 1))
    assert not torch.equal(inputs, other_inputs)
    assert len(inputs) == len(other_inputs) == 3 * 16 // 2
    for name, weight in weights.items():
        assert torch.equal(weight, other_weights[name])
        assert weight.abs().sum() > 0
    assert (tmp_path / 'work/epoch_3.pth').exists()


def test_a_lack_of_shared_memory_is_explained():
    message = (
        "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's workers are out"
    )
    with pytest.raises(ValueError, match=r'Bus error.*--shm-size=8g.*num_workers=0'), explain_shared_memory():
        raise RuntimeError(message)
    with pytest.raises(RuntimeError, match='another'), explain_shared_memory():
        raise RuntimeError('another')


@pytest.mark.slow
@pytest.mark.parametrize('tool, arguments', [('dist_train.sh', ['x.py']), ('dist_test.sh', ['x.py', 'x.pth'])])
def test_a_second_job_on_a_machine_takes_another_port(tmp_path, tool, arguments):
    """The default port is taken; the tool runs a script that prints the port it was given."""
    for name in (tool, 'launch.sh'):
        (tmp_path / name).write_text((REPO / 'tools' / name).read_text())
    (tmp_path / tool).chmod(0o755)
    script = tmp_path / f'{tool.removeprefix("dist_").removesuffix(".sh")}.py'
    script.write_text("import os; print('port', os.environ['MASTER_PORT'], os.environ['WORLD_SIZE'])")
    environment = {key: value for key, value in os.environ.items() if key != 'PORT'} | {'PYTHON': sys.executable}
    with socket.socket() as other:
        with contextlib.suppress(OSError):  # taken by a job on this machine already
            other.bind(('127.0.0.1', 29500))
            other.listen()
        done = subprocess.run(
            [tmp_path / tool, *arguments, '2'], env=environment, capture_output=True, text=True, timeout=200
        )
    assert done.returncode == 0, done.stderr
    ports = {line.split()[1] for line in done.stdout.splitlines() if line.startswith('port')}
    assert len(ports) == 1 and '29500' not in ports and done.stdout.count(' 2\n') == 2


def test_a_short_training_has_a_short_schedule():
    warm_up = dict(type='LinearLR', end=1, convert_to_iter_based=True)
    anneal = dict(type='CosineAnnealingLR', begin=1, convert_to_iter_based=True)
    short = Config(dict(param_scheduler=[warm_up, anneal], train_cfg=dict(max_epochs=1)))
    assert 'max_epochs=1: every part is shortened to 50 %' in shorten_schedule(short)
    assert [dict(each) for each in short.param_scheduler] == [warm_up | dict(end=0.5), anneal | dict(begin=0.5)]
    assert shorten_schedule(short) is None  # it is short enough now


def test_a_schedule_that_is_short_enough_stays():
    schedulers = [dict(type='LinearLR', end=1), dict(type='CosineAnnealingLR', begin=1)]
    steps = [dict(type='CosineAnnealingLR', begin=500, by_epoch=False)]
    for each in (schedulers, schedulers[1], [], None, steps):
        cfg = Config(dict(param_scheduler=each, train_cfg=dict(max_epochs=2)))
        before = cfg.to_dict()
        assert shorten_schedule(cfg) is None and cfg.to_dict() == before
    assert shorten_schedule(Config(dict(param_scheduler=schedulers, train_cfg=dict(max_iters=50)))) is None
    with pytest.raises(ValueError, match=r'begins at epoch 1. Train for 2 epochs at least'):
        shorten_schedule(Config(dict(param_scheduler=schedulers, train_cfg=dict(max_epochs=1))))


def test_a_config_in_its_work_dir_is_not_written_over(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text(f'work_dir = {str(tmp_path)!r}  # mine')
    cfg = Config.fromfile(path)
    keep_config(cfg)
    assert cfg.filename == str(tmp_path / 'mine_built.py') and cfg.experiment_name == 'mine'
    cfg = Config.fromfile(path)
    cfg.work_dir = str(tmp_path / 'other')
    keep_config(cfg)
    assert cfg.filename == str(path) and 'experiment_name' not in cfg


def test_a_deep_network_without_a_gpu_is_warned_of(monkeypatch):
    deep, small = (Config.fromfile(REPO / f'configs/looc/looc_{name}_folder.py') for name in ('r50', 'r18'))
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    assert slow_without_gpu(deep).startswith('ResNet-50 trains without a GPU')
    assert slow_without_gpu(small) is None and slow_without_gpu(Config()) is None
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert slow_without_gpu(deep) is None


def test_one_thread_beside_a_gpu_unless_the_user_says_otherwise(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch, 'set_num_threads', chosen.append)
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    for gpu, expected in ((False, []), (True, [1])):
        monkeypatch.setattr(torch.cuda, 'is_available', lambda gpu=gpu: gpu)
        spare_threads()
        assert chosen == expected
    monkeypatch.setenv('OMP_NUM_THREADS', '4')
    spare_threads()
    assert chosen == [1]


HELD = """
import ctypes, sys, torch
from looc_mm.engine.launch import keep_freed_memory

if sys.argv[1] == 'keep':
    keep_freed_memory()
mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = type('mallinfo2', (ctypes.Structure,), {'_fields_': [(str(i), ctypes.c_size_t) for i in range(10)]})
tensor = torch.ones(16 << 20)  # 64 MB
mapped = getattr(mallinfo(), '4')  # hblkhd: bytes in blocks that are mapped separately
del tensor
print(mapped >> 20, getattr(mallinfo(), '0') >> 20)  # arena: bytes that are kept
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), 'mallinfo2'), reason='needs glibc 2.33 to look into')
def test_freed_memory_is_kept_for_the_next_tensors():
    held = {}
    for what in ('keep', 'default'):
        run = subprocess.run([sys.executable, '-c', HELD, what], capture_output=True, text=True, check=True)
        held[what] = [int(number) for number in run.stdout.split()]
    (mapped, kept), (mapped_by_default, kept_by_default) = held['keep'], held['default']
    assert mapped_by_default >= mapped + 64, 'MB'
    assert kept >= kept_by_default + 64
