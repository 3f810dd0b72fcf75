from .features import Features, extract_features
from .linear import LinearProbe
from .loop import FrozenFeatureLoop
from .results import write_results
from .rotation import RotationProbe

__all__ = ['Features', 'FrozenFeatureLoop', 'LinearProbe', 'RotationProbe', 'extract_features', 'write_results']
