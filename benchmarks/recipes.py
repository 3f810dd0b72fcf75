"""What the benchmarks of views and of the loader share: photographs, and MoCo v2's augmentations in two frameworks."""

from pathlib import Path

import cv2
import mmcv
import mmpretrain
import numpy as np
from mmengine.config import Config
from PIL import Image
from sklearn.datasets import load_sample_images

MOCO = [
    dict(type='RandomResizedCrop', size=224, scale=(0.2, 1)),
    dict(type='HorizontalFlip'),
    dict(type='ColorJitter', brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, prob=0.8, gray_prob=0.2),
    dict(type='GaussianBlur', prob=0.5, sigma=(0.1, 2)),
]
ROTATION = dict(type='RandomRightAngleRotation')


def photographs(count: int, height: int = 375, width: int = 500) -> list[np.ndarray]:
    """Pieces of scikit-learn's two photographs, (H, W, 3) uint8 BGR; mirrored on where they are too small."""
    rng = np.random.default_rng(0)
    sources = [photo[..., ::-1] for photo in load_sample_images().images]  # 427 x 640 pixels
    pieces = []
    for index in range(count):
        photo = sources[index % len(sources)]
        more = [max(0, side - has) for side, has in zip((height, width), photo.shape[:2], strict=True)]
        photo = cv2.copyMakeBorder(photo, 0, more[0], 0, more[1], cv2.BORDER_REFLECT)
        top, left = rng.integers(0, photo.shape[0] - height + 1), rng.integers(0, photo.shape[1] - width + 1)
        pieces.append(np.ascontiguousarray(photo[top : top + height, left : left + width]))
    return pieces


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
