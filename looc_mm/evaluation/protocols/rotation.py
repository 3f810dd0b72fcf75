"""Rotation classification: what a representation keeps of the orientation of an image (paper section 4)."""

from typing import Any

from looc_mm.evaluation.source import FeatureSource
from looc_mm.registry import PROTOCOLS

from .linear import LinearProbe


@PROTOCOLS.register_module()
class RotationProbe(LinearProbe):
    """Classify the four right angles: a random one for each training image, all four of every test image.

    Args:
        **kwargs: As of `LinearProbe`, without ``label``.
    """

    name = 'rotation'
    rotate_train = 'random'
    rotate_test = 'all'

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(label='rotation', **kwargs)

    def unsuitable(self, source: FeatureSource) -> str | None:
        """Images must be square."""
        height, width = source.dataset('test')[0]['inputs'].shape[-2:]
        return None if height == width else f'the images are not square, but {height} x {width} pixels'
