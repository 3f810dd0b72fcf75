"""Write a dataset once as canvases in shards, which ``looc train --canvases`` reads."""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

from looc_mm.configs import find_config, is_config

from .arguments import Options, UsageError


def pack_canvases(
    source: str | Path | None = None,
    out: Path | None = None,
    *,
    verify: Annotated[Path | None, {'metavar': 'OUT'}] = None,
    size: int | None = None,
    quality: int = 90,
    per_shard: int = 1000,
    with_label: bool = False,
    cfg_options: Options = None,
    workers: int = os.cpu_count() or 1,
) -> int:
    """Write OUT/000000.tar, ...: the pictures of a dataset as square JPEGs of one size, in random order.

    For example::

        looc pack-canvases looc_r50_in100 data/in100_canvases
        looc pack-canvases data/photos data/photos_canvases --size 256
        looc pack-canvases --verify data/in100_canvases

    The sizes of their originals and the labels are written too. Started again, it makes what is missing.

    Args:
        source: path or name of a config, for its training dataset, or folder of pictures
        out: folder to write
        verify: only compare the shards there with their checksums
        size: side in pixels; default: the config's; of a folder 256
        quality: of the JPEGs, 1 to 100
        per_shard: pictures to a shard
        with_label: a folder's sub-folders are its classes
        cfg_options: override config entries, e.g. train_dataloader.dataset.split=val
        workers: processes

    Returns:
        The exit status, 1 if a picture is broken or a shard is wrong.

    Raises:
        ValueError: The dataset cannot be written so, or the folder was made with other settings.
    """
    if (verify is None and (source is None or out is None)) or (verify and source):
        raise UsageError('give SOURCE and OUT, or --verify OUT')
    import cv2
    from mmengine.registry import init_default_scope

    from looc_mm.datasets import pack
    from looc_mm.datasets.shards import SETTINGS

    init_default_scope('looc_mm')
    if verify:
        problems = pack.verify_canvases(Path(verify), workers)
        for path, problem in problems.items():
            print(f'Wrong: {path}: {problem}', file=sys.stderr)
        if problems:
            print('Move these files away and start the packing as before: it makes what is missing.', file=sys.stderr)
        else:
            print(f'{verify} is whole')
        return 1 if problems else 0

    assert source is not None and out is not None
    cv2.setNumThreads(1)  # the shards are the parallel part
    dataset = dataset_config(source, Path(out), with_label, cfg_options or {})
    report = pack.pack_canvases(dataset, Path(out), size, quality, per_shard, workers)
    return report.show(
        f'{report.made} shards made, {report.finished} were finished before, '
        f'{report.steps - len(report.broken)} pictures in all, {len(report.broken)} are broken: {Path(out) / SETTINGS}'
    )


def dataset_config(source: str | Path, out: Path, with_label: bool, cfg_options: dict[str, Any]) -> dict[str, Any]:
    """The dataset of a config, or of a folder of pictures."""
    from mmengine.config import Config

    from looc_mm.config_check.check import check_config
    from looc_mm.config_check.options import merge_options
    from looc_mm.datasets.folder_job import check_apart
    from looc_mm.multichannel import share_channels

    if is_config(source):
        cfg = Config.fromfile(find_config(source))
        merge_options(cfg, cfg_options)
        share_channels(cfg)
        check_config(cfg, cfg_options)
        if 'train_dataloader' not in cfg:
            raise ValueError(f'{source} has no train_dataloader, whose dataset is written; give one that trains')
        return cfg.train_dataloader.dataset
    check_apart(Path(source), out, 'packed')
    pipeline = [dict(type='LoadCanvas'), dict(type='PackCanvas')]
    return dict(type='ImageFolder', data_root=str(source), with_label=with_label, pipeline=pipeline)
