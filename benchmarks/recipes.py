"""What the benchmarks of views and of the loader share: pictures, and MoCo v2's augmentations in two frameworks."""

from pathlib import Path

import cv2
import mmcv
import mmpretrain
import numpy as np
from mmengine.config import Config
from PIL import Image

MOCO = [
    dict(type='RandomResizedCrop', size=224, scale=(0.2, 1)),
    dict(type='HorizontalFlip'),
    dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, prob=0.8, gray_prob=0.2),
    dict(type='GaussianBlur', prob=0.5, sigma=(0.1, 2)),
]
ROTATION = dict(type='RandomRightAngleRotation')


def photographs(count: int, height: int = 375, width: int = 500) -> list[np.ndarray]:
    """Pieces of made pictures, (H, W, 3) uint8 BGR, that cost a decoder what photographs cost.

    At 500 x 375 pixels and quality 95 a JPEG of them has 80 kB, and so has one of scikit-learn's two photographs. A
    picture that is too small is mirrored on.
    """
    rng = np.random.default_rng(0)
    sources = [_made(rng) for _ in range(min(count, 8))]
    pieces = []
    for index in range(count):
        photo = sources[index % len(sources)]
        more = [max(0, side - has) for side, has in zip((height, width), photo.shape[:2], strict=True)]
        photo = cv2.copyMakeBorder(photo, 0, more[0], 0, more[1], cv2.BORDER_REFLECT)
        top, left = rng.integers(0, photo.shape[0] - height + 1), rng.integers(0, photo.shape[1] - width + 1)
        pieces.append(np.ascontiguousarray(photo[top : top + height, left : left + width]))
    return pieces


def _made(rng: np.random.Generator, height: int = 427, width: int = 640) -> np.ndarray:
    """Noise of every scale, and a dozen polygons."""
    picture = np.zeros((height, width, 3), np.float32)
    for side in (2**octave for octave in range(1, 11)):
        rows = max(2, side * height // width)
        gray, color = (rng.standard_normal((rows, side, channels), np.float32) for channels in (1, 3))
        filter_ = cv2.INTER_CUBIC if side < width else cv2.INTER_AREA
        picture += cv2.resize(0.9 * gray + 0.6 * color, (width, height), interpolation=filter_) / side**0.5
    picture = 120 + 50 * (picture - picture.mean((0, 1))) / picture.std((0, 1))
    for _ in range(12):
        corners = (rng.random((int(rng.integers(3, 6)), 2)) * (width, height)).astype(np.int32)
        inside = cv2.fillPoly(np.zeros((height, width), np.uint8), [corners], 1).astype(bool)
        picture[inside] += rng.integers(-60, 61, 3)
    return picture.clip(0, 255).astype(np.uint8)


def mmpretrain_view() -> list[dict]:
    """The steps of a view in MMPreTrain's own config for MoCo v2, with mmcv's shift of the hue mended."""
    mmcv.adjust_hue = adjust_hue
    config = Path(mmpretrain.__file__).parent / '.mim/configs/_base_/datasets/imagenet_bs32_mocov2.py'
    return Config.fromfile(config).view_pipeline


def adjust_hue(img: np.ndarray, hue_factor: float, backend: str = 'pillow') -> np.ndarray:
    """What mmcv does, step by step, but for its cast of negative shifts to uint8, which NumPy 2 refuses."""
    assert backend == 'pillow'
    hue, saturation, value = Image.fromarray(img[..., ::-1]).convert('HSV').split()
    hue = Image.fromarray(np.array(hue) + np.uint8(int(hue_factor * 255) % 256))
    return np.array(Image.merge('HSV', (hue, saturation, value)).convert('RGB'), dtype=img.dtype)[..., ::-1]
