"""From V and the spaces of a network to one representation for a task, with few labels."""

from .fit import fit
from .result import Fit

__all__ = ['Fit', 'fit']
