"""The model: two encoders, a head and a queue per space, and Eq. 2."""

from .looc_loss import LooCLoss
from .multi_head_moco import MultiHeadMoCo
from .preprocessor import LeaveOneOutPreprocessor
from .queue_per_head import QueuePerHeadNeck

__all__ = ['LeaveOneOutPreprocessor', 'LooCLoss', 'MultiHeadMoCo', 'QueuePerHeadNeck']
