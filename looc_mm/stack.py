"""What looc_mm uses of MMPreTrain and MMCV. No other file of the package imports them.

    from looc_mm.stack import BaseTransform

The first use of a name imports its module: MMPreTrain's datasets alone take seconds.
"""

from importlib import import_module
from typing import Any

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
    return getattr(import_module(USED[name]), name)
