"""Evaluation on frozen features: extract once, then one file per protocol."""

from .features import FeatureBank, Features, extract_bank, extract_features
from .few_shot import FewShotProbe
from .head_preference import HeadPreference
from .invariance import InvarianceMatrix
from .knn import KNNProbe
from .linear import LinearProbe
from .linear_augmented import AugmentedLinearProbe
from .loop import FrozenFeatureLoop
from .monitor import Monitor
from .results import write_results
from .retrieval import Retrieval
from .robustness import RobustnessProbe
from .rotation import RotationProbe
from .space_ablation import SpaceAblation

__all__ = [
    'AugmentedLinearProbe',
    'FeatureBank',
    'Features',
    'FewShotProbe',
    'FrozenFeatureLoop',
    'HeadPreference',
    'InvarianceMatrix',
    'KNNProbe',
    'LinearProbe',
    'Monitor',
    'Retrieval',
    'RobustnessProbe',
    'RotationProbe',
    'SpaceAblation',
    'extract_bank',
    'extract_features',
    'write_results',
]
