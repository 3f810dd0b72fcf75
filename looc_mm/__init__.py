"""looc_mm: leave-one-out contrastive learning (LooC) on MMEngine and MMPreTrain."""

import warnings
from typing import TYPE_CHECKING, Any

from .version import __version__

# Said at every start by the stack beneath, about what is not used here.
warnings.filterwarnings('ignore', message='Fail to import ``MultiScaleDeformableAttention``')
warnings.filterwarnings('ignore', message="'pin_memory' argument is set as true but no accelerator is found")

if TYPE_CHECKING:
    from .cli import pretrain

__all__ = ['__version__', 'pretrain']


def __getattr__(name: str) -> Any:
    """``looc_mm.pretrain``, imported when it is used."""
    if name == 'pretrain':
        from .cli import pretrain

        return pretrain
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
