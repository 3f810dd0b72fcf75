"""Starting a run on GPUs or on CPU, in one process or many."""

import ctypes
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from looc_mm.datasets.classes import class_names

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def setup_launch(cfg: Config, launcher: str) -> None:
    """Prepares the config, and without a GPU the process group too, for ``Runner.from_cfg``.

    On GPUs MMEngine starts NCCL itself. On CPU it would still look for a CUDA device, so gloo is started here, freed
    memory is kept (:func:`keep_freed_memory`), and the model is wrapped without device ids; each of several processes
    then keeps to one torch thread unless ``OMP_NUM_THREADS`` is set. A ``model_wrapper_cfg`` in the config takes
    precedence.

    Args:
        cfg: The config; changed in place.
        launcher: One of ``LAUNCHERS``; 'none' is a single process.

    Raises:
        ValueError: If ranks are to be seeded differently, or the launcher is unknown, is not available without a GPU,
            or did not start this process.
    """
    if launcher not in LAUNCHERS:
        raise ValueError(f'launcher must be one of {LAUNCHERS}, got {launcher!r}')
    if (cfg.get('randomness') or {}).get('diff_rank_seed'):
        raise ValueError(
            'randomness.diff_rank_seed=True would seed the shuffle of the keys differently on every process. Leave it '
            'out: the views differ from process to process by themselves.'
        )
    cfg.launcher = launcher
    if not torch.cuda.is_available():
        keep_freed_memory()
    if launcher == 'none':
        return
    if launcher == 'pytorch' and 'RANK' not in os.environ:
        raise ValueError(
            "launcher 'pytorch' needs torchrun's environment (RANK is not set): start with "
            'tools/dist_train.sh CONFIG NPROC, or use --launcher none for one process'
        )

    wrapper = dict(type='MMDistributedDataParallel', broadcast_buffers=False, find_unused_parameters=False)
    if not torch.cuda.is_available():
        if launcher != 'pytorch':
            raise ValueError(
                f"without a CUDA device the launcher must be 'none' or 'pytorch' (tools/dist_train.sh), "
                f'got {launcher!r}'
            )
        wrapper['device_ids'] = None
        cfg.merge_from_dict({'env_cfg.dist_cfg.backend': 'gloo'})
        if 'OMP_NUM_THREADS' not in os.environ:
            torch.set_num_threads(1)
        torch.distributed.init_process_group('gloo')
    cfg.model_wrapper_cfg = wrapper | (cfg.get('model_wrapper_cfg') or {})


def keep_config(cfg: Config) -> None:
    """Keep a config that is in its own work dir as it is written, with its comments.

    MMEngine writes the built config to the work dir, under the name of the file; that becomes ``<name>_built.py``.

    Args:
        cfg: The config; changed in place.
    """
    path = Path(cfg.filename)
    if path.resolve().parent == Path(cfg.work_dir).resolve():
        cfg.setdefault('experiment_name', path.stem)
        object.__setattr__(cfg, '_filename', str(path.with_name(f'{path.stem}_built.py')))


@contextmanager
def explain_shared_memory() -> Iterator[None]:
    """Explain the error of worker processes that run out of shared memory, of which Docker gives 64 MB.

    Raises:
        ValueError: With the size and the remedy.
    """
    try:
        yield
    except RuntimeError as error:
        text = str(error)
        if not any(sign in text for sign in ('Bus error', 'shared memory', '/torch_')):
            raise
        folder = '/dev/shm'
        size = f' ({folder} has {shutil.disk_usage(folder).total >> 20} MB)' if os.path.isdir(folder) else ''
        raise ValueError(
            f'The worker processes ran out of shared memory{size}, through which batches go: {text.splitlines()[0]} In '
            f'Docker, start the container with --shm-size=8g or --ipc=host. Or load without worker processes: '
            f'--cfg-options train_dataloader.num_workers=0, in an evaluation test_dataloader.num_workers=0 and '
            f'test_cfg.train_dataloader.num_workers=0.'
        ) from error


def spare_threads() -> None:
    """Beside a GPU, keep this process to one thread of PyTorch unless ``OMP_NUM_THREADS`` is set; torchrun does so too.

    The host draws view tables and launches kernels. More threads gain nothing there and take cores from the workers.
    """
    if torch.cuda.is_available() and 'OMP_NUM_THREADS' not in os.environ:
        torch.set_num_threads(1)


def keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next tensors; does nothing with another C library.

    By default it maps every tensor beyond 32 MB again, which the kernel fills with zeros first: a third of the key
    encoder's time at four key views (docs/performance.md).
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None) if os.name == 'posix' else None
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)


def shorten_schedule(cfg: Config) -> str | None:
    """Shorten a schedule whose last part begins when the training is over.

    A training of E epochs, with a last part that begins at epoch b >= E, gets every part's begin and end times
    E / (b + 1). So a run of one epoch, with a warm-up of one, warms up for half of it.

    Args:
        cfg: The config; changed in place.

    Returns:
        What was done, for the log; None if nothing.

    Raises:
        ValueError: If a part cannot be shortened, for it counts whole epochs.
    """
    schedulers, epochs = cfg.get('param_scheduler') or [], (cfg.get('train_cfg') or {}).get('max_epochs')
    schedulers = schedulers if isinstance(schedulers, list | tuple) else [schedulers]
    parts = [each for each in schedulers if isinstance(each, dict) and each.get('by_epoch', True)]
    last = max((each.get('begin', 0) for each in parts), default=0)
    if epochs is None or last < epochs:
        return None
    if not all(each.get('convert_to_iter_based') for each in parts):
        raise ValueError(
            f"train_cfg.max_epochs={epochs}, and a part of the learning rate's schedule begins at epoch {last}. Train "
            f'for {last + 1} epochs at least, set convert_to_iter_based=True in every part of param_scheduler so that '
            f"the schedule can be shortened, or train without a schedule: --cfg-options param_scheduler='[]'"
        )
    share = epochs / (last + 1)
    for each in parts:
        each.update({key: share * each[key] for key in ('begin', 'end') if key in each})
    return (
        f"The last part of the learning rate's schedule begins at epoch {last}, and the training has "
        f'max_epochs={epochs}: every part is shortened to {100 * share:.0f} % of its length.'
    )


def slow_without_gpu(cfg: Config) -> str | None:
    """A warning where a deep network meets a CPU; None where it does not."""
    backbone = (cfg.get('model') or {}).get('backbone') or {}
    depth = backbone.get('depth')
    if torch.cuda.is_available() or not isinstance(depth, int) or depth < 50:
        return None
    return (
        f'{backbone["type"]}-{depth} trains without a GPU: at 224 px that takes days where a small network takes '
        f'minutes. "looc pretrain PICTURES --out DIR" chooses a network for this machine, as does looc_r18_folder.'
    )


def drop_empty_parts(runner: Runner) -> None:
    """Drop the parts of a shortened schedule that are too short for a step, with a line in the log.

    MMEngine rounds the begin and the end of a part down to whole steps, and refuses a part that begins where it ends.
    The next part begins at the same step. The last part always has a step.

    Args:
        runner: A runner that has a training loop and has not built its schedulers; changed in place.
    """
    parts, steps = runner.param_schedulers, len(runner.train_loop.dataloader)
    if not isinstance(parts, list):
        return

    def is_empty(part: Any) -> bool:
        if not (isinstance(part, dict) and part.get('convert_to_iter_based') and 'end' in part):
            return False
        return int(part.get('begin', 0) * steps) >= int(part['end'] * steps)

    kept = [part for part in parts if not is_empty(part)]
    if len(kept) < len(parts):
        dropped = ', '.join(part['type'] for part in parts if is_empty(part))
        start = int(kept[0].get('begin', 0) * steps)
        runner.logger.warning(
            f"An epoch has {steps} steps, too few for parts of the learning rate's schedule: {dropped} would have no "
            f'step and is dropped, and {kept[0]["type"]} begins at step {start}.'
        )
        runner.param_schedulers = kept


def check_batches(runner: Runner) -> None:
    """Looks at what a built runner would train on, before it starts.

    Args:
        runner: A runner that has a training loop.

    Raises:
        ValueError: If the dataset does not fill one batch, a step of the optimizer takes more batches than an epoch
            has, a classifier has fewer classes than the dataset, or the model has queues and the last batch is smaller
            than the others or the queue is no multiple of the batch.
    """
    loader = runner.train_loop.dataloader
    batch, processes = loader.batch_size, get_world_size()
    if len(loader) == 0:
        raise ValueError(
            f'the training data, {len(loader.dataset)} samples, does not fill a batch of {batch} on '
            f'each of {processes} processes: set train_dataloader.batch_size lower than that'
        )
    counts = (runner.cfg.get('optim_wrapper') or {}).get('accumulative_counts', 1)
    if counts > len(loader):
        raise ValueError(
            f'optim_wrapper.accumulative_counts={counts}: a step of the optimizer would take more batches than an '
            f'epoch has; allowed: 1 to {len(loader)}'
        )
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    outputs, names = getattr(getattr(model, 'head', None), 'num_classes', None), class_names(loader.dataset)
    if outputs is not None and names is not None and outputs < len(names):
        raise ValueError(
            f'model.head.num_classes={outputs}, and the training data has {len(names)} classes; allowed: {len(names)} '
            f'or more'
        )
    length = getattr(getattr(model, 'neck', None), 'queue_len', None)
    if length is None:
        return
    if not loader.drop_last and len(loader.sampler) % batch:
        raise ValueError(
            f'the last batch of an epoch has {len(loader.sampler) % batch} images instead of {batch}, which a queue '
            f'cannot take: set train_dataloader.drop_last=True'
        )
    if length % (batch * processes):
        raise ValueError(
            f'model.neck.queue_len={length} is no multiple of the batch, {batch} images on each of {processes} '
            f'processes: set it to {max(1, round(length / batch / processes)) * batch * processes}, say '
            f'(--cfg-options model.neck.queue_len=...)'
        )
