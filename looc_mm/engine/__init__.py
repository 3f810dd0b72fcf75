from .amp import AutocastOptimWrapper
from .checkpoint import PlainCheckpoint, SafeCheckpointHook
from .hooks import DeferredRuntimeInfo, ProgressBar, StopOnNonFiniteLoss
from .launch import check_batches, check_schedule, setup_launch
from .prefetch import PrefetchBatches, Prefetched

__all__ = [
    'AutocastOptimWrapper',
    'DeferredRuntimeInfo',
    'PlainCheckpoint',
    'PrefetchBatches',
    'Prefetched',
    'ProgressBar',
    'SafeCheckpointHook',
    'StopOnNonFiniteLoss',
    'check_batches',
    'check_schedule',
    'setup_launch',
]
