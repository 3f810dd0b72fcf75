"""What looc_mm uses of MMPreTrain and MMCV, and versions. No other file of the package imports the two.

    from looc_mm.stack import BaseTransform

The first use of a name imports its module: MMPreTrain's datasets alone take seconds.
"""

import multiprocessing
import os
import re
import warnings
from functools import cache
from importlib import import_module, metadata
from typing import Any

#: The newest minor releases that looc_mm ran on; setup.py has only lower bounds for them.
NEWEST = {'torch': '2.15', 'torchvision': '0.29', 'numpy': '2.5'}

#: The module of each name.
USED = {
    'BaseTransform': 'mmcv.transforms',
    'CenterCrop': 'mmcv.transforms',
    'registry': 'mmpretrain',
    'BaseDataset': 'mmpretrain.datasets',
    'CUB': 'mmpretrain.datasets',
    'CustomDataset': 'mmpretrain.datasets',
    'Flowers102': 'mmpretrain.datasets',
    'ClsDataPreprocessor': 'mmpretrain.models',
    'HOGGenerator': 'mmpretrain.models',
    'backbones': 'mmpretrain.models',
    'BaseSelfSupervisor': 'mmpretrain.models.selfsup',
}


def __getattr__(name: str) -> Any:
    if name not in USED:
        raise AttributeError(f'looc_mm.stack has no {name!r}. It has {sorted(USED)}; add what else you need to USED.')
    warn_of_newer_releases()
    return getattr(import_module(USED[name]), name)


def version(package: str) -> str:
    """The installed version of a package, or else of OneDL's fork of it.

    Raises:
        PackageNotFoundError: Neither is installed.
    """
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return metadata.version(f'onedl-{package}')


def newer_releases() -> list[str]:
    """The installed packages whose minor release is newer than in ``NEWEST``, as 'torch 2.16.1 (tested up to 2.15)'."""
    installed = {package: version(package) for package in NEWEST}
    return [
        f'{package} {installed[package]} (tested up to {newest})'
        for package, newest in NEWEST.items()
        if _minor_release(installed[package]) > _minor_release(newest)
    ]


@cache
def warn_of_newer_releases() -> None:
    """Warn in one line, once, of ``newer_releases``; only the first process of a training does, and no worker."""
    first = multiprocessing.parent_process() is None and os.environ.get('LOCAL_RANK', '0') == '0'
    if first and (newer := newer_releases()):
        message = f'newer than what looc_mm was tested with: {", ".join(newer)}; constraints.txt has tested versions'
        warnings.warn_explicit(message, UserWarning, 'looc_mm', 1)  # no file, so no second line with its source


def _minor_release(text: str) -> list[int]:
    return [int(number) for number in re.findall(r'\d+', text)[:2]]
