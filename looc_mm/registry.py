"""The registries: children of MMPreTrain's, so that every OpenMMLab component is at hand by its name.

With ``default_scope = 'looc_mm'`` a config finds our types first, then MMPreTrain's, then MMEngine's.
"""

from typing import Any

from mmengine.registry import Registry, build_from_cfg
from mmpretrain import registry as mmpretrain


def _build_augmentation(cfg: dict, registry: Registry, **kwargs: Any) -> Any:
    """Build as MMEngine does; of an unknown type say which ones are known."""
    kind = cfg.get('type')
    if isinstance(kind, str) and registry.get(kind) is None:
        raise KeyError(
            f'{kind} is no registered augmentation. Known: {sorted(registry.module_dict)}. Import the file that '
            f'registers it: custom_imports in the config, --plugin FILE.py, or an entry point of its package.'
        )
    return build_from_cfg(cfg, registry, **kwargs)


#: Atomic augmentations: registering one and naming it in a config's list gives it a view, a head and a queue.
AUGMENTATIONS = Registry(
    'atomic augmentation',
    build_func=_build_augmentation,
    scope='looc_mm',
    locations=['looc_mm.augmentations', 'looc_mm.plugins'],
)
#: Evaluation protocols: what is computed from frozen features.
PROTOCOLS = Registry('protocol', scope='looc_mm', locations=['looc_mm.evaluation'])


def _child(parent: Registry, *locations: str) -> Registry:
    return Registry(parent.name, parent=parent, scope='looc_mm', locations=list(locations))


MODELS = _child(mmpretrain.MODELS, 'looc_mm.models')
TRANSFORMS = _child(mmpretrain.TRANSFORMS, 'looc_mm.datasets', 'looc_mm.views')
DATASETS = _child(mmpretrain.DATASETS, 'looc_mm.datasets')
DATA_SAMPLERS = _child(mmpretrain.DATA_SAMPLERS, 'looc_mm.datasets')
HOOKS = _child(mmpretrain.HOOKS, 'looc_mm.engine', 'looc_mm.evaluation')
LOOPS = _child(mmpretrain.LOOPS, 'looc_mm.evaluation')
OPTIM_WRAPPERS = _child(mmpretrain.OPTIM_WRAPPERS, 'looc_mm.engine')
WEIGHT_INITIALIZERS = _child(mmpretrain.WEIGHT_INITIALIZERS, 'looc_mm.checkpoint')

# Nothing of ours in these: a scope without a child would hide MMPreTrain's types of that kind.
EVALUATORS = _child(mmpretrain.EVALUATORS)
LOG_PROCESSORS = _child(mmpretrain.LOG_PROCESSORS)
METRICS = _child(mmpretrain.METRICS)
MODEL_WRAPPERS = _child(mmpretrain.MODEL_WRAPPERS)
OPTIMIZERS = _child(mmpretrain.OPTIMIZERS)
OPTIM_WRAPPER_CONSTRUCTORS = _child(mmpretrain.OPTIM_WRAPPER_CONSTRUCTORS)
PARAM_SCHEDULERS = _child(mmpretrain.PARAM_SCHEDULERS)
RUNNERS = _child(mmpretrain.RUNNERS)
VISBACKENDS = _child(mmpretrain.VISBACKENDS)
VISUALIZERS = _child(mmpretrain.VISUALIZERS)
