"""Train a model: ``looc train CONFIG``."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from looc_mm.configs import find_config
from looc_mm.stop import TrainingStoppedError, catch_signals

from .arguments import Launcher, Options, Plugins, UsageError

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn


def train(
    config: str | Path,
    *,
    work_dir: str | Path | None = None,
    resume: Annotated[str | None, {'nargs': '?', 'const': 'auto', 'metavar': 'CHECKPOINT'}] = None,
    overwrite: bool = False,
    amp: bool = False,
    auto_scale_lr: bool = False,
    seed: int | None = None,
    data_root: Annotated[str | None, {'metavar': 'DIR'}] = None,
    canvases: Annotated[str | None, {'metavar': 'DIR'}] = None,
    log: Sequence[Literal['tensorboard', 'wandb', 'mlflow']] = (),
    plugin: Plugins = (),
    cfg_options: Options = None,
    launcher: Launcher = 'none',
) -> 'nn.Module':
    """Train a model.

    For example::

        looc train looc_r18_imagenette --amp
        looc train looc_r50_folder --data-root 'my pictures' --work-dir runs/mine

    Ctrl-C or SIGTERM stops the training after a checkpoint: the exit status is 75, and --resume continues. The same
    signal a second time ends it at once, without a checkpoint.

    Args:
        config: path or name of a pretraining config; "looc list configs" prints the names
        work_dir: where logs and checkpoints go; default: work_dirs/<config name>
        resume: go on from this checkpoint, or without a value ("auto") from the last one in the work dir
        overwrite: start from the beginning in a work dir that holds checkpoints, and replace those of the same name
        amp: mixed precision (bfloat16), on GPU or CPU
        auto_scale_lr: scale the learning rate with the batch size over all processes
        seed: random seed; default: the config's
        data_root: folder of the images; default: the config's train_dataloader.dataset.data_root
        canvases: read the images from here, where pack-canvases wrote them, and not from the config's dataset
        log: send the logged values to these experiment trackers too
        plugin: import this file, which registers classes: augmentations, models, ...; may be given more than once
        cfg_options: override config entries, e.g. optim_wrapper.optimizer.lr=0.1 or a list: key="[a,b]"; a value whose
            place holds a text is taken as typed
        launcher: how the processes were started

    Returns:
        The trained model.

    Raises:
        ValueError: The config or an option does not fit, the work dir holds checkpoints of another training or is in
            use by one, or the package of a tracker is not installed.
        FileNotFoundError: The checkpoint or a plug-in does not exist.
        TrainingStoppedError: A signal stopped the training, and a checkpoint was written.
    """
    import gc

    import torch

    from looc_mm.engine.checkpoint import SafeCheckpointHook
    from looc_mm.engine.console import QuietRunner
    from looc_mm.engine.launch import (
        check_batches,
        drop_empty_parts,
        explain_shared_memory,
        keep_config,
        setup_launch,
        shorten_schedule,
        slow_without_gpu,
        spare_threads,
    )
    from looc_mm.engine.trackers import add_trackers
    from looc_mm.engine.work_dir import lock_work_dir, refuse_used
    from looc_mm.plugins import load_files

    if resume and overwrite:
        raise UsageError('give --resume or --overwrite, not both')
    load_files(plugin)
    cfg = build_config(config, work_dir, resume, amp, auto_scale_lr, seed, canvases, cfg_options, data_root)
    add_trackers(cfg, log)
    keep_config(cfg)
    warnings = [shorten_schedule(cfg), slow_without_gpu(cfg)]
    setup_launch(cfg, launcher)
    spare_threads()
    with lock_work_dir(cfg.work_dir, launcher) as warning:
        refuse_used(cfg.work_dir, bool(cfg.get('resume')), overwrite)
        runner = QuietRunner.from_cfg(cfg)
        for each in filter(None, [*warnings, warning]):
            runner.logger.warning(each)
        check_batches(runner)
        drop_empty_parts(runner)
        stoppable = any(isinstance(hook, SafeCheckpointHook) for hook in runner.hooks)
        stopped = None
        try:
            with explain_shared_memory(), catch_signals() if stoppable else nullcontext():
                model = runner.train()
        except TrainingStoppedError as error:
            stopped = str(error)
            runner.logger.warning(stopped)
        del runner
        gc.collect()  # with the runner its worker processes end; at the exit PyTorch waits 5 seconds for each of them
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if stopped is not None:
        raise TrainingStoppedError(stopped)
    return model


def build_config(
    config: str | Path,
    work_dir: str | Path | None,
    resume: str | None,
    amp: bool,
    auto_scale_lr: bool,
    seed: int | None,
    canvases: str | None,
    cfg_options: Mapping[str, Any] | None,
    data_root: str | None = None,
) -> 'Config':
    """The config as the arguments of :func:`train` change it, checked."""
    from mmengine.config import Config

    from looc_mm.config_check.check import check_config
    from looc_mm.config_check.options import data_root_options, merge_options
    from looc_mm.datasets.shards import read_canvases
    from looc_mm.multichannel import share_channels

    path = find_config(config)
    cfg = Config.fromfile(path)
    cfg.work_dir = str(work_dir or cfg.get('work_dir') or Path('work_dirs', path.stem))
    if resume:
        cfg.resume = True
        cfg.load_from = None if resume == 'auto' else resume
    if amp:
        cfg.optim_wrapper.type = 'AutocastOptimWrapper'
    if auto_scale_lr:
        if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
            raise ValueError(
                f'--auto-scale-lr needs the batch size that the learning rate is for: add auto_scale_lr = '
                f'dict(base_batch_size=256) to {config}'
            )
        cfg.auto_scale_lr.enable = True
    if seed is not None:
        cfg.merge_from_dict({'randomness.seed': seed})
    cfg.merge_from_dict(data_root_options(cfg, data_root, 'train_dataloader'))
    merge_options(cfg, cfg_options or {})
    share_channels(cfg)
    check_config(cfg, cfg_options)
    if auto_scale_lr:  # MMEngine scales by the batch of one pass; a step of the optimizer has several
        cfg.auto_scale_lr.base_batch_size /= cfg.optim_wrapper.get('accumulative_counts', 1)
    if canvases:
        read_canvases(cfg.train_dataloader, canvases)
    return cfg
