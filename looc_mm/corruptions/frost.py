"""Procedural pictures of frost on a window."""

import math

import cv2
import numpy as np

SIDE = 640  # pixels


def grow(seed: int, side: int = SIDE) -> np.ndarray:
    """Grow ferns of ice on a clouded pane, mostly where it is thickly covered.

    Args:
        seed: Equal ones give equal pictures.
        side: In pixels.

    Returns:
        (side, side, 3) uint8 RGB, black where the pane is clear.
    """
    rng = np.random.default_rng([seed, side])
    cover = np.clip(1.6 * _clouds(side, 5, rng) - 0.1, 0.2, 1)
    ice = np.zeros((side, side), np.float32)
    for _ in range(side * side // 300):
        place = rng.uniform(0, side, 2)
        if rng.random() < 0.1 + cover[int(place[1]), int(place[0])]:
            _fern(ice, place, rng)
    crystals = np.abs(_clouds(side, 40, rng) - 0.5) + np.abs(_clouds(side, 110, rng) - 0.5)  # creased, as ice is
    film = cover * (0.25 + 0.75 * crystals)
    level = np.clip(film + (0.25 + 0.5 * cover) * cv2.GaussianBlur(ice, (0, 0), 0.7), 0, 1)[..., None]
    return (level * (np.array([175, 205, 230]) + level * np.array([80, 50, 25]))).astype(np.uint8)  # thin ice is blue


def _clouds(side: int, cells: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise in [0, 1] with so many cells along a side, (side, side) float32."""
    noise = cv2.resize(rng.random((cells + 1, cells + 1), np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    return (noise - noise.min()) / np.ptp(noise)


def _fern(ice: np.ndarray, place: np.ndarray, rng: np.random.Generator) -> None:
    """Draw a bent stem with branches 60 degrees off on both sides, shorter towards its tip."""
    length, shade = ice.shape[0] * rng.uniform(0.015, 0.05) * rng.choice([1, 1, 3]), rng.uniform(0.2, 1)
    heading, bend, step = rng.uniform(0, 2 * math.pi), rng.normal(0, 0.05), 3
    count = int(length / step)
    for index in range(count):
        tip = place + step * _direction(heading)
        _line(ice, place, tip, shade)
        for side in (-1, 1):
            reach = 0.4 * length * (1 - index / count) * rng.uniform(0.2, 1)
            _line(ice, tip, tip + reach * _direction(heading + side * math.pi / 3), shade * rng.uniform(0.4, 0.9))
        place, heading = tip, heading + bend


def _direction(angle: float) -> np.ndarray:
    return np.array([math.cos(angle), math.sin(angle)])


def _line(ice: np.ndarray, start: np.ndarray, end: np.ndarray, shade: float) -> None:
    x0, y0, x1, y1 = (int(16 * part) for part in (*start, *end))  # in sixteenths of a pixel, shift=4
    cv2.line(ice, (x0, y0), (x1, y1), shade, 1, cv2.LINE_8, 4)
