"""All that looc_mm uses of MMPreTrain and MMCV: no other file imports them.

A name is imported when it is first asked for, because MMPreTrain's models take seconds.
"""

from importlib import import_module
from typing import Any

#: The module of each name.
HOMES = {
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
    if name not in HOMES:
        raise AttributeError(f'{__name__} has no {name!r}; it has {sorted(HOMES)}.')
    return getattr(import_module(HOMES[name]), name)
