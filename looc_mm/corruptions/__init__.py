"""The 15 corruptions of ImageNet-C at five severities, for one's own pictures.

Hendrycks & Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and Perturbations, ICLR 2019. The
constants and the order of operations are those of their make_imagenet_c.py, meant for pictures of 224 pixels. Different
from it are:

- ``frost``: procedural pictures of frost unless ``frost_dir`` has the published; they are enlarged for larger images.
- ``motion_blur`` and ``snow``: ImageMagick's motion blur is computed here, not called.
- ``pixelate``: at sizes other than 224, a pixel whose centre is on an edge may go to the other side.
- Images need be neither 224 pixels nor square: magnified, smoothed and shuffled is along each side by its own length,
  and the fog's side is the power of two that covers the image.
- Random numbers come from NumPy's Generator, in part in float32; values a thousandth of a grey level below an integer
  are taken for it before fractions are cut off.
"""

import numpy as np

from .base import SEVERITIES, Corruption
from .blur import defocus_blur, glass_blur, motion_blur, zoom_blur
from .digital import contrast, elastic_transform, jpeg_compression, pixelate
from .noise import gaussian_noise, impulse_noise, shot_noise
from .tree import Settings, corrupt_tree
from .weather import brightness, fog, frost, snow

__all__ = [
    'CORRUPTIONS',
    'GROUPS',
    'SEVERITIES',
    'Corruption',
    'Settings',
    'corrupt',
    'corrupt_tree',
]

_FUNCTIONS: dict[str, list[Corruption]] = {
    'noise': [gaussian_noise, shot_noise, impulse_noise],
    'blur': [defocus_blur, glass_blur, motion_blur, zoom_blur],
    'weather': [snow, frost, fog, brightness],
    'digital': [contrast, elastic_transform, pixelate, jpeg_compression],
}
GROUPS: dict[str, list[str]] = {group: [each.name for each in members] for group, members in _FUNCTIONS.items()}
CORRUPTIONS: dict[str, Corruption] = {each.name: each for members in _FUNCTIONS.values() for each in members}


def corrupt(image: np.ndarray, name: str, severity: int, rng: np.random.Generator, **options: object) -> np.ndarray:
    """Corrupt an image.

    Args:
        image: (H, W, 3) uint8 RGB, of any size; the constants are meant for 224 pixels.
        name: One of ``CORRUPTIONS``.
        severity: 1 to 5.
        rng: Makes every random choice: an equal image and an equally seeded generator give an equal result.
        **options: Of this corruption; ``frost`` has ``frost_dir``.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ValueError: If image, name or severity is something else.
    """
    if name not in CORRUPTIONS:
        raise ValueError(f'Got the corruption {name!r}; allowed are {", ".join(CORRUPTIONS)}.')
    return CORRUPTIONS[name](image, severity, rng, **options)
