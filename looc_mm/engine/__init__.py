from .amp import AutocastOptimWrapper
from .checkpoint import PlainCheckpoint, SafeCheckpointHook
from .hooks import ProgressBar, StopOnNonFiniteLoss
from .launch import check_batches, setup_launch, shorten_schedule
from .prefetch import PrefetchBatches, Prefetched

__all__ = [
    'AutocastOptimWrapper',
    'PlainCheckpoint',
    'PrefetchBatches',
    'Prefetched',
    'ProgressBar',
    'SafeCheckpointHook',
    'StopOnNonFiniteLoss',
    'check_batches',
    'setup_launch',
    'shorten_schedule',
]
