from .amp import AutocastOptimWrapper
from .checkpoint import PlainCheckpoint, SafeCheckpointHook
from .hooks import ProgressBar, StopOnNonFiniteLoss
from .launch import check_batches, setup_launch

__all__ = [
    'AutocastOptimWrapper',
    'PlainCheckpoint',
    'ProgressBar',
    'SafeCheckpointHook',
    'StopOnNonFiniteLoss',
    'check_batches',
    'setup_launch',
]
