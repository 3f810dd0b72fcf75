"""Blurs: out of focus, through frosted glass, in motion, while zooming."""

import math

import cv2
import numpy as np

from .base import corruption, truncate


def disc(radius: int, sigma: float) -> np.ndarray:
    """A uniform disc, its rim softened by a Gaussian; (17, 17) up to a radius of 8 pixels, then (2 r + 1, 2 r + 1).

    At radius 8 the rim touches the border, and the sum is not quite 1, as published.
    """
    reach, soft = (8, 3) if radius <= 8 else (radius, 5)
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    inside = (x**2 + y**2 <= radius**2).astype(np.float32)
    return cv2.GaussianBlur(inside / inside.sum(), (soft, soft), sigma)


@corruption((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))
def defocus_blur(image: np.ndarray, rng: np.random.Generator, radius: int, sigma: float) -> np.ndarray:
    """Blur by a disc of this radius in pixels, the picture of a point out of focus."""
    return cv2.filter2D(image.astype(np.float32), -1, disc(radius, sigma), borderType=cv2.BORDER_REFLECT_101)


def shuffle(
    height: int, width: int, reach: int, rounds: int, rng: np.random.Generator, swap: bool = False
) -> np.ndarray:
    """Where each pixel of a locally shuffled picture comes from.

    From the lower right to the upper left, every pixel that is further than ``reach`` from the border takes the place
    of one at most ``reach`` to the left or above and less than that to the right or below. The published code reads
    as if the two changed places, but what it does, NumPy's rows being views, is to copy the one over the other; so
    that pixels get lost, and ImageNet-C is made thus. One pixel is moved several times, so that the order matters: on a
    list of integers the plain loop is fast enough to keep it.

    Args:
        height: Of the picture, in pixels.
        width: Of the picture, in pixels.
        reach: In pixels.
        rounds: How often to go over the picture.
        rng: Draws the partners.
        swap: Let the two change places.

    Returns:
        (H, W) flat indices into the picture.
    """
    rows, columns = np.arange(height - reach, reach, -1), np.arange(width - reach, reach, -1)
    here = (rows[:, None] * width + columns).ravel()
    source = list(range(height * width))
    for _ in range(rounds):
        down, right = rng.integers(-reach, reach, (2, here.size))
        pairs = zip(here.tolist(), (here + down * width + right).tolist(), strict=True)
        if swap:
            for a, b in pairs:
                source[a], source[b] = source[b], source[a]
        else:
            for a, b in pairs:
                source[a] = source[b]
    return np.array(source).reshape(height, width)


@corruption((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2))
def glass_blur(
    image: np.ndarray, rng: np.random.Generator, sigma: float, reach: int, rounds: int, swap: bool = False
) -> np.ndarray:
    """Blur, shuffle neighbouring pixels (:func:`shuffle`, which ``swap`` is for), and blur again."""
    side = 2 * int(4 * sigma + 0.5) + 1

    def blur(pixels: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(pixels.astype(np.float32), (side, side), sigma, borderType=cv2.BORDER_REPLICATE)

    height, width = image.shape[:2]
    soft = truncate(blur(image)).reshape(-1, 3)
    return blur(soft[shuffle(height, width, reach, rounds, rng, swap)])


def streak(image: np.ndarray, radius: int, sigma: float, angle: float) -> np.ndarray:
    """Blur along a line from each pixel, by one half of a Gaussian: ImageMagick's motion blur.

    ImageMagick cuts the fractions of grey levels off (6.9.11, 16 bits a channel), which :func:`truncate` does: then
    99.9 % of the pixels inside two photographs are equal to its own, the others differ by 1. Rounded, half of them do.

    Args:
        image: (H, W) or (H, W, 3) float32.
        radius: The line has 2 ``radius`` + 1 pixels.
        sigma: Of the Gaussian, in pixels.
        angle: In degrees, from the x axis towards the y axis, which points down.

    Returns:
        As the image.
    """
    steps, turn = np.arange(2 * radius + 1), math.radians(angle)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    x, y = (np.ceil(steps * part - 0.5).astype(int) for part in (math.cos(turn), math.sin(turn)))
    kernel = np.zeros((np.ptp(y) + 1, np.ptp(x) + 1), np.float32)
    np.add.at(kernel, (y - y.min(), x - x.min()), weights / weights.sum())
    anchor = (int(-x.min()), int(-y.min()))
    return cv2.filter2D(image, -1, kernel, anchor=anchor, borderType=cv2.BORDER_REPLICATE)


@corruption((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))
def motion_blur(image: np.ndarray, rng: np.random.Generator, radius: int, sigma: float) -> np.ndarray:
    """Blur along a line (:func:`streak`) at most 45 degrees from the horizontal; fractions are cut off."""
    return streak(image.astype(np.float32), radius, sigma, rng.uniform(-45, 45))


def magnify(image: np.ndarray, factor: float) -> np.ndarray:
    """Magnify the middle of an image (H, W, ...) float by a factor of at least 1, linearly, to the same size."""
    for axis in (0, 1):
        size = image.shape[axis]
        crop = math.ceil(size / factor)
        large = round(crop * factor)
        places = ((large - size) // 2 + np.arange(size)) * ((crop - 1) / max(large - 1, 1))  # corners map to corners
        low = places.astype(int)
        weights = (places - low).astype(image.dtype).reshape([-1 if each == axis else 1 for each in range(image.ndim)])
        top = (size - crop) // 2
        here, beyond = (image.take(top + np.minimum(index, crop - 1), axis) for index in (low, low + 1))
        image = here + (beyond - here) * weights
    return image


@corruption((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))
def zoom_blur(image: np.ndarray, rng: np.random.Generator, stop: float, step: float) -> np.ndarray:
    """The mean of the image and of magnified ones, by factors of 1 to ``stop``."""
    values, factors = image.astype(np.float32), np.arange(1, stop, step)
    total = values + sum(magnify(values, factor) for factor in factors)
    return total / (len(factors) + 1)
