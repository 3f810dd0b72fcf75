"""The models: encoders, a head per space, Eq. 2; and relatives of LooC on the same views."""

from .augself import AugSelf
from .cassle import CASSLE
from .essl import ESSL
from .looc_loss import LooCLoss
from .multi_head_moco import MultiHeadMoCo
from .multi_head_simclr import MultiHeadSimCLR
from .preprocessor import LeaveOneOutPreprocessor
from .queue_per_head import HeadPerSpaceNeck, QueuePerHeadNeck
from .split_bn import SplitBatchNorm2d
from .timm_features import TimmFeatures

__all__ = [
    'AugSelf',
    'CASSLE',
    'ESSL',
    'HeadPerSpaceNeck',
    'LeaveOneOutPreprocessor',
    'LooCLoss',
    'MultiHeadMoCo',
    'MultiHeadSimCLR',
    'QueuePerHeadNeck',
    'SplitBatchNorm2d',
    'TimmFeatures',
]
