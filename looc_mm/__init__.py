"""looc_mm: leave-one-out contrastive learning (LooC) on MMEngine and MMPreTrain."""

from .version import __version__

__all__ = ['__version__']
