"""Evaluation on frozen features: extract once, then one file for each protocol."""

from .extract import extract
from .features import Features, FeatureSet
from .linear_classifier import LinearClassifier
from .loop import FrozenFeatureLoop
from .monitor import Monitor
from .protocols.base import Protocol, Score
from .protocols.few_shot import FewShotProbe
from .protocols.head_preference import HeadPreference
from .protocols.invariance import InvarianceMatrix
from .protocols.knn import KNNProbe
from .protocols.linear import LinearProbe
from .protocols.linear_augmented import AugmentedLinearProbe
from .protocols.regression import RegressionProbe
from .protocols.retrieval import Retrieval
from .protocols.robustness import RobustnessProbe
from .protocols.rotation import RotationProbe
from .protocols.space_ablation import SpaceAblation
from .run import run_protocols
from .source import FeatureSource

__all__ = [
    'AugmentedLinearProbe',
    'FeatureSet',
    'FeatureSource',
    'Features',
    'FewShotProbe',
    'FrozenFeatureLoop',
    'HeadPreference',
    'InvarianceMatrix',
    'KNNProbe',
    'LinearClassifier',
    'LinearProbe',
    'Monitor',
    'Protocol',
    'RegressionProbe',
    'Retrieval',
    'RobustnessProbe',
    'RotationProbe',
    'Score',
    'SpaceAblation',
    'extract',
    'run_protocols',
]
