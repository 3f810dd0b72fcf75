"""What screens, cameras and files do: contrast, elastic distortion, coarse pixels, JPEG."""

from functools import lru_cache

import cv2
import numpy as np

from .base import corruption


@corruption((0.4,), (0.3,), (0.2,), (0.1,), (0.05,))
def contrast(image: np.ndarray, rng: np.random.Generator, keep: float) -> np.ndarray:
    """Draw all values towards the mean of their channel."""
    mean = image.mean((0, 1), dtype=np.float64)
    return (image - mean) * keep + mean


@lru_cache(maxsize=16)
def _smoothing(size: int, sigma: float) -> np.ndarray:
    """Gaussian smoothing of ``size`` numbers as a matrix, cut at 3 sigma, what is outside being mirrored inside.

    The published sigma is up to 171 pixels: a product with this takes a hundredth of such a convolution's time.
    """
    reach = int(3 * sigma + 0.5)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    rows = np.arange(size)[:, None]
    columns = (rows + offsets) % (2 * size)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (rows, np.minimum(columns, 2 * size - 1 - columns)), weights / weights.sum())
    return matrix


@corruption(
    (488, 170.8, 24.4),  # of 244 pixels; 224 was meant, says the published code
    (488, 19.52, 48.8),
    (12.2, 2.44, 4.88),
    (17.08, 2.44, 4.88),
    (29.28, 2.44, 4.88),
)
def elastic_transform(
    image: np.ndarray, rng: np.random.Generator, amplitude: float, sigma: float, jitter: float
) -> np.ndarray:
    """Move three points of the image at random, the rest with them, and then each pixel by smooth noise.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Draws the moves.
        amplitude: Factor of the smoothed noise, which is uniform in [-1, 1] before, in pixels.
        sigma: Of its smoothing, in pixels.
        jitter: The three points move by at most this, in pixels.

    Returns:
        (H, W, 3) float32.
    """
    height, width = image.shape[:2]
    reach = min(height, width) // 3
    corners = np.array([[1, 1], [1, -1], [-1, -1]], np.float32) * max(reach, 1) + (width // 2, height // 2)
    corners = corners.astype(np.float32)
    moved = corners + rng.uniform(-jitter, jitter, corners.shape).astype(np.float32)
    affine = cv2.getAffineTransform(corners, moved)
    values = cv2.warpAffine(image.astype(np.float32), affine, (width, height), borderMode=cv2.BORDER_REFLECT_101)
    noise = rng.uniform(-1, 1, (2, height, width))
    by_x, by_y = amplitude * (_smoothing(height, sigma) @ noise @ _smoothing(width, sigma).T)
    x, y = np.arange(width) + by_x, np.arange(height)[:, None] + by_y
    return cv2.remap(
        values, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )


def shrink(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Means of the pixels whose centres a coarse pixel covers, (h, w, 3) uint8: PIL's BOX filter.

    OpenCV's INTER_AREA weighs the pixels on an edge instead of giving them to one side.
    """
    for axis in (1, 0):  # as PIL, which rounds in between
        old, new = image.shape[axis], size[axis]
        edges = (np.arange(new + 1) * (old / new) + 0.5).astype(int)
        counts = np.diff(edges).reshape([-1 if each == axis else 1 for each in range(3)])
        means = np.add.reduceat(image, edges[:-1], axis, dtype=np.int64) / counts
        image = np.floor(means + 0.5).astype(np.uint8)
    return image


@corruption((0.6,), (0.5,), (0.4,), (0.3,), (0.25,))
def pixelate(image: np.ndarray, rng: np.random.Generator, factor: float) -> np.ndarray:
    """Shrink by this factor (:func:`shrink`) and enlarge again without interpolation."""
    old = image.shape[:2]
    new = [max(1, int(side * factor)) for side in old]
    rows, columns = (((np.arange(a) + 0.5) * b / a).astype(int) for a, b in zip(old, new, strict=True))
    return shrink(image, (new[0], new[1]))[rows[:, None], columns]


@corruption((25,), (18,), (15,), (10,), (7,))
def jpeg_compression(image: np.ndarray, rng: np.random.Generator, quality: int) -> np.ndarray:
    """Write and read a JPEG file of this quality, its colour at half the resolution."""
    file = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR))[..., ::-1].copy()
