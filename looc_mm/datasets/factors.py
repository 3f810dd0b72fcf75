"""A procedural dataset of independent factors: one shape, of one colour, in one texture, upright.

It needs no files, and every factor is a label, so that one can see which of them a representation kept.
"""

import colorsys
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import cv2
import numpy as np

from looc_mm.registry import DATASETS, TRANSFORMS
from looc_mm.stack import BaseDataset

_ARC = np.linspace(0, np.pi, 25)  # from right to left
_HEART = np.linspace(0, 2 * np.pi, 49)

#: Outlines in any unit, x to the right and y down. No rotation by a right angle, mirrored or not, brings one onto
#: itself or onto another one: what is up can be seen, also after a horizontal flip.
SHAPES: dict[str, np.ndarray] = {
    name: np.array(outline, np.float32)
    for name, outline in {
        'arrow': [(0, -10), (8, -1), (3, -1), (3, 10), (-3, 10), (-3, -1), (-8, -1)],
        'house': [(0, -9), (10, 0), (7, 0), (7, 9), (2, 9), (2, 3), (-2, 3), (-2, 9), (-7, 9), (-7, 0), (-10, 0)],
        'heart': np.stack(
            [
                16 * np.sin(_HEART) ** 3,
                -13 * np.cos(_HEART) + 5 * np.cos(2 * _HEART) + 2 * np.cos(3 * _HEART) + np.cos(4 * _HEART),
            ],
            axis=1,
        ),
        'boot': [(-6, -10), (1, -10), (1, 2), (7, 4), (9, 7), (9, 10), (-1, 10), (-1, 8), (-6, 10)],
        'flag': [(-8, -10), (9, -8), (4, -4), (9, 1), (-5, 1), (-5, 10), (-8, 10)],
        'mushroom': [*zip(10 * np.cos(_ARC), -10 * np.sin(_ARC), strict=True), (-3, 0), (-4, 9), (4, 9), (3, 0)],
        'crown': [(-10, -8), (-5, 0), (0, -9), (5, 0), (10, -8), (8, 8), (-8, 8)],
        'boat': [(-1, -10), (1, -10), (8, 2), (1, 2), (1, 4), (10, 4), (6, 10), (-6, 10), (-10, 4), (-1, 4)],
    }.items()
}
#: Hues in degrees, spread so that they look equally far apart.
COLORS = {'red': 0, 'orange': 32, 'yellow': 58, 'green': 115, 'cyan': 178, 'blue': 220, 'violet': 268, 'pink': 318}
TEXTURES = ('solid', 'checker', 'dots', 'rings')
SPLITS = ('train', 'test')


@DATASETS.register_module()
class Factors(BaseDataset):
    """Pictures of shapes that are a pure function of (seed, split, index).

    Shape, colour and texture are independent uniform draws. So are four numbers: ``x`` and ``y``, the centre of the
    shape's bounding box as a fraction of the picture's side; ``size``, the longer side of the box as the same fraction;
    and ``angle``, the tilt in degrees from -10 to 10. The exact colour and the gray
    background differ from picture to picture and are no labels.

    Args:
        length: Number of pictures.
        size: Side of a picture, in pixels.
        seed: Another seed gives another dataset.
        split: 'train' or 'test', two streams of pictures.
        target: Name of the factor that is also given as ``gt_label``, for supervised training.
        pipeline: Transforms, or configs of them.
        **kwargs: The other arguments of MMPreTrain's ``BaseDataset``.

    Raises:
        ValueError: There is no such split or factor, or a length, size or seed is out of range.
    """

    METAINFO = {'shape': tuple(SHAPES), 'color': tuple(COLORS), 'texture': TEXTURES}
    #: The labels that are numbers.
    NUMBERS = ('x', 'y', 'size', 'angle')

    published: ClassVar[Any] = 'it has no files, and as many pictures as a config asks for'

    def __init__(
        self,
        length: int,
        size: int = 64,
        seed: int = 0,
        split: str = 'train',
        target: str | None = None,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs: Any,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f"Factors got split={split!r}; it has the splits 'train' and 'test'")
        if length < 1 or size < 32 or seed < 0:
            raise ValueError(
                f'Factors got length={length}, size={size}, seed={seed}; length must be at least 1, '
                'size at least 32 pixels (textures are lost below) and seed at least 0'
            )
        if target not in (None, *self.METAINFO):
            raise ValueError(f'Factors got target={target!r}; its factors are {list(self.METAINFO)}')
        self.target = target
        self.length = length
        self.size = size
        self.seed = seed
        self.split = split
        super().__init__(
            ann_file='',
            data_root='',  # named here, so that a config cannot set it: no file is read
            data_prefix='',
            # built here, as the parent's registry does not look into ours
            pipeline=[TRANSFORMS.build(step) if isinstance(step, dict) else step for step in pipeline],
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        """List the indices that the pictures are drawn from."""
        return [{'index': index} for index in range(self.length)]

    def get_data_info(self, idx: int) -> dict:
        """Draw a picture.

        Args:
            idx: Index into this dataset, or into the subset that was taken of it.

        Returns:
            ``img`` (size, size, 3) uint8 BGR; the labels ``shape``, ``color`` and ``texture``, perhaps ``gt_label``;
            and the numbers ``x``, ``y``, ``size`` and ``angle``.
        """
        info = super().get_data_info(idx)
        rng = np.random.default_rng((self.seed, SPLITS.index(self.split), info['index']))
        labels = {factor: int(rng.integers(len(names))) for factor, names in self.METAINFO.items()}
        if self.target:
            info['gt_label'] = labels[self.target]
        place = draw_place(rng)
        outline = place_outline(labels['shape'], 1, place)
        x, y = (outline.min(0) + outline.max(0)).astype(float) / 2
        values = (float(x), float(y), place.scale, float(np.rad2deg(place.tilt)))
        numbers = dict(zip(self.NUMBERS, values, strict=True))
        return {**info, **labels, **numbers, 'img': draw(rng, self.size, **labels, place=place)}


class Place(NamedTuple):
    """Where a shape is in its picture.

    Attributes:
        tilt: Angle in radians.
        scale: The longer side of the shape's bounding box, as a fraction of the picture's.
        position: Where the bounding box is in the room that is left, (x, y) in [0, 1].
    """

    tilt: float
    scale: float
    position: Sequence[float] | np.ndarray


def draw_place(rng: np.random.Generator) -> Place:
    """Draw the place of a shape."""
    tilt = np.deg2rad(rng.uniform(-10, 10))
    return Place(tilt, rng.uniform(0.6, 0.95), rng.uniform(size=2))


def place_outline(shape: int, side: int, place: Place) -> np.ndarray:
    """The outline of a shape in its place, (P, 2) float32 of x and y, in a picture of a side."""
    cos, sin = np.cos(place.tilt), np.sin(place.tilt)
    outline = list(SHAPES.values())[shape] @ np.array([[cos, sin], [-sin, cos]], np.float32)
    outline -= outline.min(0)
    outline *= place.scale * side / outline.max()
    outline += np.asarray(place.position, np.float32) * (side - outline.max(0))
    return outline


def draw(
    rng: np.random.Generator, size: int, shape: int, color: int, texture: int, place: Place | None = None
) -> np.ndarray:
    """Draw one picture of given factors.

    Args:
        rng: Source of everything that is no factor.
        size: Side of the picture, in pixels.
        shape: Index into ``SHAPES``.
        color: Index into ``COLORS``.
        texture: Index into ``TEXTURES``.
        place: Of the shape; None to draw it first.

    Returns:
        (size, size, 3) uint8 BGR.
    """
    place = place or draw_place(rng)
    mask = draw_mask(shape, size, place.scale, place.tilt, place.position)
    shade = 1 - 0.6 * draw_texture(rng, size, texture, place.tilt)
    hue = (list(COLORS.values())[color] + rng.uniform(-6, 6)) / 360
    paint = np.array(colorsys.hsv_to_rgb(hue, rng.uniform(0.75, 1), rng.uniform(0.7, 1))[::-1], np.float32)  # BGR
    picture = draw_background(rng, size)
    picture += mask[..., None] * (shade[..., None] * paint - picture)  # (size, size, 3)
    picture += 0.02 * rng.standard_normal(picture.shape, np.float32)
    return (255 * picture.clip(0, 1) + 0.5).astype(np.uint8)


def draw_mask(
    shape: int, size: int, scale: float = 0.8, tilt: float = 0, position: Sequence[float] | np.ndarray = (0.5, 0.5)
) -> np.ndarray:
    """Draw the silhouette of a shape, the whole of which is always in the picture.

    Args:
        shape: Index into ``SHAPES``.
        size: Side of the picture, in pixels.
        scale: The longer side of the shape's bounding box, as a fraction of the picture's.
        tilt: Angle in radians.
        position: Where the bounding box is in the room that is left, (x, y) in [0, 1].

    Returns:
        (size, size) float32 in [0, 1], anti-aliased.
    """
    fine = 4 * size
    outline = place_outline(shape, fine, Place(tilt, scale, position))
    mask = np.zeros((fine, fine), np.uint8)
    cv2.fillPoly(mask, [(16 * outline).astype(np.int32)], 255, shift=4)
    return cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def draw_texture(rng: np.random.Generator, size: int, texture: int, tilt: float) -> np.ndarray:
    """Draw a texture that looks the same after a turn by a right angle.

    Args:
        rng: Source of its period and phase.
        size: Side of the picture, in pixels.
        texture: Index into ``TEXTURES``.
        tilt: Angle in radians.

    Returns:
        (size, size) float32, 0 where the paint stays as it is and 1 where it is darkened.
    """
    if TEXTURES[texture] == 'solid':
        return np.zeros((size, size), np.float32)
    frequency = 2 * np.pi / (size * rng.uniform(0.12, 0.16))
    step = np.arange(size, dtype=np.float32) * np.float32(frequency)
    cos, sin = np.float32(np.cos(tilt)), np.float32(np.sin(tilt))
    u = cos * step + sin * step[:, None] + np.float32(rng.uniform(0, 2 * np.pi))
    v = cos * step[:, None] - sin * step + np.float32(rng.uniform(0, 2 * np.pi))
    if TEXTURES[texture] == 'checker':
        wave = 3 * np.sin(u / 1.4) * np.sin(v / 1.4)
    elif TEXTURES[texture] == 'dots':
        wave = 2 * (np.cos(u) + np.cos(v) - 0.5)
    else:
        x, y = np.float32(rng.uniform(0.3, 0.7, 2)) * step[-1]
        wave = 2 * np.sin(np.hypot(step - x, step[:, None] - y))
    return np.clip(wave + 0.5, 0, 1)


def draw_background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw a cloudy gray background lit from above, (size, size, 3) float32, hardly tinted."""
    light = rng.uniform(0.05, 0.25) * np.linspace(1, -1, 4, dtype=np.float32)[:, None]
    clouds = rng.uniform(0.25, 0.7) + light + 0.04 * rng.standard_normal((4, 4), np.float32)
    gray = cv2.resize(clouds, (size, size), interpolation=cv2.INTER_CUBIC)
    return gray[..., None] + np.float32(rng.uniform(-0.02, 0.02, 3))
