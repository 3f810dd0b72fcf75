"""Noise, drawn separately for each pixel and channel."""

import numpy as np

from .base import corruption


@corruption((0.08,), (0.12,), (0.18,), (0.26,), (0.38,))
def gaussian_noise(image: np.ndarray, rng: np.random.Generator, deviation: float) -> np.ndarray:
    """Add Gaussian noise, its deviation as a share of the range."""
    return image + 255 * deviation * rng.standard_normal(image.shape, np.float32)


@corruption((60,), (25,), (12,), (5,), (3,))
def shot_noise(image: np.ndarray, rng: np.random.Generator, photons: int) -> np.ndarray:
    """Count photons, Poisson distributed; a white pixel has so many in the mean."""
    return rng.poisson(image * (photons / 255)) * (255 / photons)


@corruption((0.03,), (0.06,), (0.09,), (0.17,), (0.27,))
def impulse_noise(image: np.ndarray, rng: np.random.Generator, amount: float) -> np.ndarray:
    """Replace this share of the values by black or white, as often by the one as by the other."""
    draw = rng.random(image.shape, np.float32)
    return np.where(draw < amount / 2, np.uint8(0), np.where(draw < amount, np.uint8(255), image))
