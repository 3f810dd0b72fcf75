from .amp import AutocastOptimWrapper
from .checkpoint import PlainCheckpoint, SafeCheckpointHook
from .hooks import DeferredRuntimeInfo, ProgressBar, StopOnNonFiniteLoss
from .launch import check_batches, setup_launch, shorten_schedule
from .prefetch import PrefetchBatches, Prefetched
from .watch_spaces import WatchSpaces

__all__ = [
    'AutocastOptimWrapper',
    'DeferredRuntimeInfo',
    'PlainCheckpoint',
    'PrefetchBatches',
    'Prefetched',
    'ProgressBar',
    'SafeCheckpointHook',
    'StopOnNonFiniteLoss',
    'WatchSpaces',
    'check_batches',
    'setup_launch',
    'shorten_schedule',
]
