"""The registries: children of MMPreTrain's, so that every OpenMMLab component is at hand by its name.

With ``default_scope = 'looc_mm'`` a config finds our types first, then MMPreTrain's, then MMEngine's.
"""

import re
from collections.abc import Iterator
from inspect import signature
from typing import Any

from mmengine.registry import Registry, build_from_cfg

from looc_mm.stack import registry as mmpretrain

PLUGINS = 'looc_mm.plugins'  # imports what installed packages register
ANY_AUGMENTATION = {
    'name': str,
    'owns_space': bool,
    'all_channels': bool,
}  # arguments of every augmentation, and their types


def _build_augmentation(cfg: dict, registry: Registry, **kwargs: Any) -> Any:
    """Build as MMEngine does, and set ``name`` and ``owns_space`` on the instance if the config has them.

    So every class takes these two arguments, whatever its ``__init__`` is. A class whose ``__init__`` has one of them
    gets it there.

    Raises:
        KeyError: The type is unknown; with those that are known.
        ValueError: ``name`` is no text, or ``owns_space`` neither True nor False.
    """
    kind = cfg.get('type')
    known = registry.get(kind) if isinstance(kind, str) else kind
    if known is None:
        raise KeyError(
            f'{kind} is no registered augmentation. Known: {sorted(registry.module_dict)}. Import the file that '
            f'registers it: custom_imports in the config, --plugin FILE.py, or an entry point of its package.'
        )
    takes, arguments = signature(known).parameters, dict(cfg)
    own = {key: arguments.pop(key) for key in ANY_AUGMENTATION if key in cfg and key not in takes}
    for key, value in own.items():
        if not isinstance(value, ANY_AUGMENTATION[key]):
            raise ValueError(f'{kind} got {key}={value!r}; it has to be of type {ANY_AUGMENTATION[key].__name__}.')
    augmentation = build_from_cfg(arguments, registry, **kwargs)
    for key, value in own.items():
        setattr(augmentation, key, value)
    return augmentation


#: Atomic augmentations: registering one and naming it in a config's list gives it a view, a head and a queue.
AUGMENTATIONS = Registry(
    'atomic augmentation',
    build_func=_build_augmentation,
    scope='looc_mm',
    locations=['looc_mm.augmentations', PLUGINS],
)
#: Evaluation protocols: what is computed from frozen features.
PROTOCOLS = Registry('protocol', scope='looc_mm', locations=['looc_mm.evaluation', 'looc_mm.audit', PLUGINS])


def _child(parent: Registry, *locations: str) -> Registry:
    return Registry(parent.name, parent=parent, scope='looc_mm', locations=[*locations, PLUGINS])


MODELS = _child(mmpretrain.MODELS, 'looc_mm.models', 'looc_mm.multichannel')
TRANSFORMS = _child(mmpretrain.TRANSFORMS, 'looc_mm.datasets', 'looc_mm.views')
DATASETS = _child(mmpretrain.DATASETS, 'looc_mm.datasets')
DATA_SAMPLERS = _child(mmpretrain.DATA_SAMPLERS, 'looc_mm.datasets')
HOOKS = _child(mmpretrain.HOOKS, 'looc_mm.engine', 'looc_mm.evaluation')
LOOPS = _child(mmpretrain.LOOPS, 'looc_mm.engine', 'looc_mm.evaluation')
OPTIM_WRAPPERS = _child(mmpretrain.OPTIM_WRAPPERS, 'looc_mm.engine')
WEIGHT_INITIALIZERS = _child(mmpretrain.WEIGHT_INITIALIZERS, 'looc_mm.checkpoint')

# Nothing of ours in these: a scope without a child would hide MMPreTrain's types of that kind.
EVALUATORS = _child(mmpretrain.EVALUATORS)
LOG_PROCESSORS = _child(mmpretrain.LOG_PROCESSORS)
METRICS = _child(mmpretrain.METRICS)
MODEL_WRAPPERS = _child(mmpretrain.MODEL_WRAPPERS)
OPTIMIZERS = _child(mmpretrain.OPTIMIZERS)
OPTIM_WRAPPER_CONSTRUCTORS = _child(mmpretrain.OPTIM_WRAPPER_CONSTRUCTORS, 'mmpretrain.engine')  # layer-wise decay
PARAM_SCHEDULERS = _child(mmpretrain.PARAM_SCHEDULERS)
RUNNERS = _child(mmpretrain.RUNNERS)
VISBACKENDS = _child(mmpretrain.VISBACKENDS)
VISUALIZERS = _child(mmpretrain.VISUALIZERS)

#: Every registry of this module by its name here: a plug-in may register in any of them.
REGISTRIES: dict[str, Registry] = {name: each for name, each in vars().items() if isinstance(each, Registry)}


def ancestors(registry: Registry) -> Iterator[Registry]:
    """The registries that a name is looked up in after this one: MMPreTrain's, then MMEngine's."""
    while registry.parent is not None:
        registry = registry.parent
        yield registry


def snake_case(name: str) -> str:
    """The name of a class in lower case, words joined by underscores: 'RGBShift' as 'rgb_shift'."""
    return re.sub(r'(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])', '_', name).lower()
