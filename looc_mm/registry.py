"""The registries: children of MMPreTrain's, so that every OpenMMLab component is at hand by its name.

With ``default_scope = 'looc_mm'`` a config finds our types first, then MMPreTrain's, then MMEngine's.
"""

from mmengine.registry import Registry
from mmpretrain.registry import DATASETS as MMPRETRAIN_DATASETS
from mmpretrain.registry import HOOKS as MMPRETRAIN_HOOKS
from mmpretrain.registry import LOOPS as MMPRETRAIN_LOOPS
from mmpretrain.registry import MODELS as MMPRETRAIN_MODELS
from mmpretrain.registry import OPTIM_WRAPPERS as MMPRETRAIN_OPTIM_WRAPPERS
from mmpretrain.registry import TRANSFORMS as MMPRETRAIN_TRANSFORMS

#: Atomic augmentations: registering one and naming it in a config's list gives it a view, a head and a queue.
AUGMENTATIONS = Registry('atomic augmentation', scope='looc_mm', locations=['looc_mm.augmentations'])
#: Evaluation protocols: what is computed from frozen features.
PROTOCOLS = Registry('protocol', scope='looc_mm', locations=['looc_mm.evaluation'])

MODELS = Registry('model', parent=MMPRETRAIN_MODELS, scope='looc_mm', locations=['looc_mm.models'])
TRANSFORMS = Registry(
    'transform', parent=MMPRETRAIN_TRANSFORMS, scope='looc_mm', locations=['looc_mm.datasets', 'looc_mm.views']
)
DATASETS = Registry('dataset', parent=MMPRETRAIN_DATASETS, scope='looc_mm', locations=['looc_mm.datasets'])
HOOKS = Registry('hook', parent=MMPRETRAIN_HOOKS, scope='looc_mm', locations=['looc_mm.engine'])
LOOPS = Registry('loop', parent=MMPRETRAIN_LOOPS, scope='looc_mm', locations=['looc_mm.evaluation'])
OPTIM_WRAPPERS = Registry(
    'optimizer wrapper', parent=MMPRETRAIN_OPTIM_WRAPPERS, scope='looc_mm', locations=['looc_mm.engine']
)
