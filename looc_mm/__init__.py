"""looc_mm: leave-one-out contrastive learning (LooC) on MMEngine and MMPreTrain."""

import warnings

from .version import __version__

# Said at every start by the stack beneath, about what is not used here.
warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')
warnings.filterwarnings('ignore', message="'pin_memory' argument is set as true but no accelerator is found")

__all__ = ['__version__']
