"""Evaluation on frozen features: extract once, then one file for each protocol."""

from .extract import extract
from .features import Features, FeatureSet
from .linear_classifier import LinearClassifier
from .loop import FrozenFeatureLoop
from .monitor import Monitor
from .protocols import (
    AugmentedLinearProbe,
    FewShotProbe,
    HeadPreference,
    InvarianceMatrix,
    KNNProbe,
    LinearProbe,
    Protocol,
    Retrieval,
    RobustnessProbe,
    RotationProbe,
    Score,
    SpaceAblation,
)
from .run import run_protocols, write_results
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
    'Retrieval',
    'RobustnessProbe',
    'RotationProbe',
    'Score',
    'SpaceAblation',
    'extract',
    'run_protocols',
    'write_results',
]
