"""Atomic augmentations: one file each, all behind :class:`AtomicAugmentation`."""

from .base import AtomicAugmentation, GeometricAugmentation, Params
from .blur import GaussianBlur
from .color import ColorJitter
from .crop import RandomResizedCrop
from .flip import HorizontalFlip
from .rotation import RandomRightAngleRotation
from .texture import RandomConvTexture

__all__ = [
    'AtomicAugmentation',
    'ColorJitter',
    'GaussianBlur',
    'GeometricAugmentation',
    'HorizontalFlip',
    'Params',
    'RandomConvTexture',
    'RandomResizedCrop',
    'RandomRightAngleRotation',
]
