"""The registries: children of MMPreTrain's, so that every OpenMMLab component is at hand by its name.

With ``default_scope = 'looc_mm'`` a config finds our types first, then MMPreTrain's, then MMEngine's.
"""

from mmengine.registry import Registry
from mmpretrain import registry as mmpretrain

#: Atomic augmentations: registering one and naming it in a config's list gives it a view, a head and a queue.
AUGMENTATIONS = Registry('atomic augmentation', scope='looc_mm', locations=['looc_mm.augmentations'])
#: Evaluation protocols: what is computed from frozen features.
PROTOCOLS = Registry('protocol', scope='looc_mm', locations=['looc_mm.evaluation'])


def _child(parent: Registry, *locations: str) -> Registry:
    return Registry(parent.name, parent=parent, scope='looc_mm', locations=list(locations))


MODELS = _child(mmpretrain.MODELS, 'looc_mm.models')
TRANSFORMS = _child(mmpretrain.TRANSFORMS, 'looc_mm.datasets', 'looc_mm.views')
DATASETS = _child(mmpretrain.DATASETS, 'looc_mm.datasets')
HOOKS = _child(mmpretrain.HOOKS, 'looc_mm.engine')
LOOPS = _child(mmpretrain.LOOPS, 'looc_mm.evaluation')
OPTIM_WRAPPERS = _child(mmpretrain.OPTIM_WRAPPERS, 'looc_mm.engine')

# Nothing of ours in these: a scope without a child would hide MMPreTrain's types of that kind.
DATA_SAMPLERS = _child(mmpretrain.DATA_SAMPLERS)
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
WEIGHT_INITIALIZERS = _child(mmpretrain.WEIGHT_INITIALIZERS)
