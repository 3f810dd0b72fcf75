"""Rotation classification: how much a representation tells about the orientation of an image (paper section 4)."""

from typing import Any

from looc_mm.registry import PROTOCOLS

from .linear import LinearProbe


@PROTOCOLS.register_module()
class RotationProbe(LinearProbe):
    """Tell the four right angles apart: a random one per training image, all four of every test image.

    Args:
        **kwargs: As of `LinearProbe`, without ``label``.
    """

    name = 'rotation'
    rotate_train = 'random'
    rotate_test = 'all'

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(label='rotation', **kwargs)
