"""Weather: snow, frost, fog, and bright light."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from looc_mm.datasets.decoding import decode

from .base import corruption, truncate
from .blur import magnify, streak
from .frost import grow

# The ones that the published code draws from: frost6.jpg, the last of its six files, is never drawn.
FROST_FILES = ('frost1.png', 'frost2.png', 'frost3.png', 'frost4.jpg', 'frost5.jpg')


@corruption(
    (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)
def snow(
    image: np.ndarray,
    rng: np.random.Generator,
    mean: float,
    deviation: float,
    size: float,
    threshold: float,
    radius: int,
    sigma: float,
    keep: float,
) -> np.ndarray:
    """Whiten the image, and add flakes that fall: magnified noise above a threshold, as streaks, from both ends."""
    values = image.astype(np.float32)
    flakes = magnify(mean + deviation * rng.standard_normal(image.shape[:2], np.float32), size)
    flakes = truncate(np.where(flakes < threshold, 0, flakes) * 255).astype(np.float32)
    flakes = truncate(streak(flakes, radius, sigma, rng.uniform(-135, -45))).astype(np.float32)
    pale = 1.5 * cv2.cvtColor(values, cv2.COLOR_RGB2GRAY) + 127.5
    values = keep * values + (1 - keep) * np.maximum(values, pale[..., None])
    return values + (flakes + flakes[::-1, ::-1])[..., None]


def check_frost(folder: str) -> None:
    """Raise a ValueError if a folder lacks one of the published pictures of frost."""
    missing = [name for name in FROST_FILES if not Path(folder, name).is_file()]
    if missing:
        raise ValueError(
            f'frost got the folder {folder!r}, which lacks {", ".join(missing)}. Put there the files of '
            'github.com/hendrycks/robustness, ImageNet-C/create_c, or give no folder to get procedural frost.'
        )


@cache
def _overlay(folder: str | None, index: int) -> np.ndarray:
    """(h, w, 3) uint8 RGB."""
    if folder is None:
        return grow(index)
    check_frost(folder)
    overlay = decode(str(Path(folder, FROST_FILES[index])))
    return cv2.cvtColor(overlay, cv2.COLOR_BGR2RGB)


@corruption((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))
def frost(
    image: np.ndarray, rng: np.random.Generator, keep: float, add: float, frost_dir: str | Path | None = None
) -> np.ndarray:
    """Add a piece of a picture of frost.

    Published are photographs, which are not part of this package. Without them the frost is procedural, and scores on
    it are not comparable with those on ImageNet-C's.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Chooses one of five pictures, and a piece of it.
        keep: Factor of the image.
        add: Factor of the frost.
        frost_dir: Folder of the published frost1.png, ... frost5.jpg.

    Returns:
        (H, W, 3), 0 to 255 and above.

    Raises:
        ValueError: If a file is missing or broken.
    """
    folder = None if frost_dir is None else str(frost_dir)
    overlay = _overlay(folder, int(rng.integers(len(FROST_FILES))))
    size = image.shape[:2]
    scale = max(need / have for need, have in zip(size, overlay.shape, strict=False))
    if scale > 1:  # published for 224 pixels, where the files are always large enough
        height, width = (max(need, round(have * scale)) for need, have in zip(size, overlay.shape, strict=False))
        overlay = cv2.resize(overlay, (width, height), interpolation=cv2.INTER_LINEAR)
    top, left = (rng.integers(have - need + 1) for need, have in zip(size, overlay.shape, strict=False))
    piece = overlay[top : top + size[0], left : left + size[1]]
    return np.float32(keep) * image + np.float32(add) * piece


def plasma(size: int, decay: float, rng: np.random.Generator) -> np.ndarray:
    """A fractal landscape by the diamond-square algorithm: (size, size) in [0, 1], periodic; size a power of two.

    The amplitude of the noise falls by the square of ``decay`` at each halving of the step.
    """
    heights = np.zeros((size, size))
    step, amplitude = size, 100.0

    def settle(around: np.ndarray) -> np.ndarray:
        return around / 4 + amplitude * rng.uniform(-amplitude, amplitude, around.shape)

    while step >= 2:
        half = step // 2
        corners = heights[::step, ::step]
        pairs = corners + np.roll(corners, -1, 0)
        centres = settle(pairs + np.roll(pairs, -1, 1))
        heights[half::step, half::step] = centres
        heights[::step, half::step] = settle(corners + np.roll(corners, -1, 1) + centres + np.roll(centres, 1, 0))
        heights[half::step, ::step] = settle(pairs + centres + np.roll(centres, 1, 1))
        step, amplitude = half, amplitude / decay
    heights -= heights.min()
    return heights / heights.max()


@corruption((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4))
def fog(image: np.ndarray, rng: np.random.Generator, density: float, decay: float) -> np.ndarray:
    """Add a :func:`plasma`, and darken so that the brightest value possible is the image's own.

    The plasma's side is the power of two that covers the image, 256 for the published 224.
    """
    height, width = image.shape[:2]
    side = max(2, 1 << (max(height, width) - 1).bit_length())
    brightest = image.max() / 255
    layer = 255 * density * plasma(side, decay, rng)[:height, :width, None]
    return (image + layer) * (brightest / (brightest + density))


@corruption((0.1,), (0.2,), (0.3,), (0.4,), (0.5,))
def brightness(image: np.ndarray, rng: np.random.Generator, add: float) -> np.ndarray:
    """Add to the value of HSV. Hue and saturation stay if all channels are multiplied by one number."""
    value = image.max(2, keepdims=True).astype(np.float32)
    bright = np.minimum(value + 255 * np.float32(add), 255)
    return np.where(value == 0, bright, image * (bright / np.maximum(value, 1)))
