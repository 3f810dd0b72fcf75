"""One file for each protocol."""

from .base import Drawing, Protocol, Score
from .few_shot import FewShotProbe
from .head_preference import HeadPreference
from .invariance import InvarianceMatrix
from .knn import KNNProbe
from .linear import LinearProbe
from .linear_augmented import AugmentedLinearProbe
from .retrieval import Retrieval
from .robustness import RobustnessProbe
from .rotation import RotationProbe
from .space_ablation import SpaceAblation

__all__ = [
    'AugmentedLinearProbe',
    'Drawing',
    'FewShotProbe',
    'HeadPreference',
    'InvarianceMatrix',
    'KNNProbe',
    'LinearProbe',
    'Protocol',
    'Retrieval',
    'RobustnessProbe',
    'RotationProbe',
    'Score',
    'SpaceAblation',
]
