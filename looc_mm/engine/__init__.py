from .amp import AutocastOptimWrapper
from .broken import BrokenPictures
from .checkpoint import PlainCheckpoint, SafeCheckpointHook
from .console import QuietRunner
from .heads_first import HeadsFirst
from .hooks import DeferredRuntimeInfo, ProgressBar, StopOnNonFiniteLoss
from .launch import check_batches, setup_launch, shorten_schedule
from .loops import EpochBasedTrainLoop, IterBasedTrainLoop
from .prefetch import PrefetchBatches, Prefetched
from .training_log import TrainingLog
from .watch_spaces import WatchSpaces

__all__ = [
    'AutocastOptimWrapper',
    'BrokenPictures',
    'DeferredRuntimeInfo',
    'EpochBasedTrainLoop',
    'HeadsFirst',
    'IterBasedTrainLoop',
    'PlainCheckpoint',
    'PrefetchBatches',
    'Prefetched',
    'ProgressBar',
    'QuietRunner',
    'SafeCheckpointHook',
    'StopOnNonFiniteLoss',
    'TrainingLog',
    'WatchSpaces',
    'check_batches',
    'setup_launch',
    'shorten_schedule',
]
