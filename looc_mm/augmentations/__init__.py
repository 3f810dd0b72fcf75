"""Atomic augmentations: one file each, all behind :class:`AtomicAugmentation`."""

from .base import AtomicAugmentation, GeometricAugmentation, Params
from .blur import GaussianBlur
from .color import ColorJitter
from .crop import RandomResizedCrop
from .flip import HorizontalFlip
from .from_albumentations import FromAlbumentations
from .from_kornia import FromKornia
from .from_torchvision import FromTorchvision
from .rotation import RandomRightAngleRotation
from .stylized import StylizedTexture
from .texture import RandomConvTexture

__all__ = [
    'AtomicAugmentation',
    'ColorJitter',
    'FromAlbumentations',
    'FromKornia',
    'FromTorchvision',
    'GaussianBlur',
    'GeometricAugmentation',
    'HorizontalFlip',
    'Params',
    'RandomConvTexture',
    'RandomResizedCrop',
    'RandomRightAngleRotation',
    'StylizedTexture',
]
