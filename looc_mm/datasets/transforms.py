"""What a worker does to an image: decode it, resize it without aliasing, pack it. Nothing here is random."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from looc_mm.registry import TRANSFORMS
from looc_mm.stack import BaseTransform

from .channels import Channels, Window, bgr_order
from .decoding import PictureError, check_pixels, decode, decode_for


def one_thread(worker: int) -> None:
    """For a worker process: workers work side by side, and OpenCV's own threads would be in their way."""
    cv2.setNumThreads(0)


def resize(img: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize an image without aliasing: bilinearly, with a filter as wide as the steps in the image.

    torchvision's ``Resize`` and Pillow's bilinear filter are the same, up to one grey level.

    Args:
        img: (H, W, C) uint8 or float32.
        height: Of the output, in pixels.
        width: Of the output, in pixels.

    Returns:
        (height, width, C) of the same type.
    """
    if img.shape[:2] == (height, width):
        return img
    batch = torch.from_numpy(np.ascontiguousarray(img)).permute(2, 0, 1)[None]
    out = F.interpolate(batch, (height, width), mode='bilinear', align_corners=False, antialias=True)
    merged = cv2.merge(list(out[0].numpy()))  # seven times as fast as a strided copy
    return merged.reshape(height, width, -1)  # OpenCV drops the axis of a single channel


def to_square(img: np.ndarray, size: int, antialias: bool = True) -> np.ndarray:
    """Resize a whole (H, W, C) image to (size, size, C); without ``antialias`` from four pixels for one."""
    if antialias:
        return resize(img, size, size)
    return cv2.resize(img, (size, size), interpolation=cv2.INTER_LINEAR).reshape(size, size, -1)


@TRANSFORMS.register_module()
class LoadImageFromFile(BaseTransform):
    """Decode an image, as all of looc_mm does. The class has the name of MMCV's, and is found first.

    Args:
        in_channels: Of pictures that are not 8-bit RGB; None for 8-bit RGB. This and the others are those of
            :meth:`looc_mm.datasets.channels.Channels.of`, and follow from the model's ``MultiChannelPreprocessor``.
        bit_depth: Bits of the values that pictures use.
        window: The values that become black and white, (low, high), or such a pair for each channel.
    """

    def __init__(
        self, in_channels: int | None = None, bit_depth: int | None = None, window: Window | None = None
    ) -> None:
        self.channels = Channels.of(in_channels, bit_depth, window)

    def transform(self, results: dict) -> dict:
        """Decode a file.

        Args:
            results: Holds ``img_path`` and maybe ``img_bytes``, the content of the file, which is removed.

        Returns:
            ``results`` with ``img`` (H, W, 3) uint8 BGR, or as of
            :func:`looc_mm.datasets.decoding.decode`, and ``img_shape`` and ``ori_shape``, both (height, width).

        Raises:
            FileNotFoundError: There is no file ``img_path``.
            PictureError: The file is not a picture that looc_mm reads.
        """
        results['img'] = decode(results['img_path'], self.channels, results.pop('img_bytes', None))
        results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        """Show the class, and the channels that are not 8-bit RGB."""
        return f'LoadImageFromFile({self.channels or ""})'


@TRANSFORMS.register_module()
class ResizeShortEdge(BaseTransform):
    """Resize an image so that its shorter edge has a given length, without aliasing.

    MMPreTrain's ``ResizeEdge`` reads four pixels for each pixel of its output, so fine patterns alias in it.

    Args:
        scale: Length of the shorter edge in pixels.
    """

    def __init__(self, scale: int) -> None:
        if scale < 1:
            raise ValueError(f'ResizeShortEdge got scale={scale}; the shorter edge has at least 1 pixel.')
        self.scale = scale

    def transform(self, results: dict) -> dict:
        """Resize ``results['img']``, (H, W, 3) uint8, and note its ``img_shape`` (height, width).

        Raises:
            PictureError: An image is so narrow that the resized one would have too many pixels.
        """
        height, width = results['img'].shape[:2]
        short = min(height, width)
        size = (self.scale * height // short, self.scale * width // short)
        check_pixels(*size, str(results.get('img_path', 'an image')))
        results['img'] = resize(results['img'], *size)
        results['img_shape'] = size
        return results

    def __repr__(self) -> str:
        """Show the argument."""
        return f'ResizeShortEdge(scale={self.scale})'


@TRANSFORMS.register_module()
class LoadCanvas(BaseTransform):
    """Decode an image and resize the whole of it to a square canvas.

    The aspect ratio is squashed on purpose: the crop computes its geometry in the original's pixels, which
    ``ori_shape`` keeps, and only samples from the canvas. Canvases of one size make a batch.

    Args:
        size: Side of the canvas, in pixels.
        ignore_broken: Whether :class:`looc_mm.datasets.ReplaceBroken`, which our datasets are, may replace a picture
            that is missing or cannot be decoded by another one. The picture is an error in any other dataset.
        antialias: Whether to resize without aliasing. False saves a fifth of a worker's time, at 30 dB to the canvas
            without aliasing.
        in_channels: As of :class:`LoadImageFromFile`.
        bit_depth: As of :class:`LoadImageFromFile`.
        window: As of :class:`LoadImageFromFile`.
    """

    def __init__(
        self,
        size: int = 256,
        ignore_broken: bool = False,
        antialias: bool = True,
        in_channels: int | None = None,
        bit_depth: int | None = None,
        window: Window | None = None,
    ) -> None:
        if size < 1:
            raise ValueError(f'LoadCanvas got size={size}; the side of the canvas must be at least 1 pixel')
        self.size = size
        self.channels = Channels.of(in_channels, bit_depth, window)
        self.ignore_broken = ignore_broken
        self.antialias = antialias

    def transform(self, results: dict) -> dict:
        """Make the canvas.

        Args:
            results: Holds ``img``, a (H, W, 3) uint8 BGR array, or else ``img_path`` and maybe ``img_bytes``, the
                content of the file, which is removed.

        Returns:
            ``results`` with ``img`` (size, size, 3) uint8 BGR, or (size, size, C), and ``ori_shape`` (height, width).

        Raises:
            FileNotFoundError: There is no file ``img_path``.
            PictureError: The file is not a picture that looc_mm reads.
        """
        if 'img' in results:
            img, shape = results['img'], results['img'].shape[:2]
        else:
            img, shape = self._decode(results['img_path'], results.pop('img_bytes', None))
        results['ori_shape'] = shape
        results['img'] = to_square(img, self.size, self.antialias)
        return results

    def _decode(self, path: str, data: bytes | None) -> tuple[np.ndarray, tuple[int, int]]:
        try:
            return decode_for(path, self.size, self.channels, data)
        except PictureError as error:
            if self.ignore_broken:
                raise
            hint = 'A training with LoadCanvas(ignore_broken=True) replaces such pictures by others.'
            raise PictureError(f'{error} {hint}', error.kind, error.reason) from error

    def __repr__(self) -> str:
        """Show the arguments."""
        channels = f', {self.channels}' if self.channels else ''
        return f'LoadCanvas(size={self.size}, ignore_broken={self.ignore_broken}, antialias={self.antialias}{channels})'


def _planes(images: Sequence[np.ndarray]) -> torch.Tensor:
    """N images (H, W, C) BGR, and other channels behind them, as (N, C, H, W) RGB and the others."""
    channels = images[0].shape[2]
    planes = np.empty((len(images), channels, *images[0].shape[:2]), images[0].dtype)
    for img, rgb in zip(images, planes, strict=True):
        cv2.split(
            img, [rgb[row] for row in bgr_order(channels)]
        )  # writes the three planes in place; 3x faster than a strided copy
    return torch.from_numpy(planes)


def plain_label(value: Any) -> int | float:
    """A label: a float is a number, everything else is a class."""
    return float(value) if isinstance(value, float) else int(value)


@TRANSFORMS.register_module()
class PackCanvas(BaseTransform):
    """Pack a canvas into the plain dict that the model's data preprocessor takes.

    MMEngine's ``default_collate`` makes a batch of B of them: ``inputs`` (B, 3, H, W), ``image_size`` (B, 2),
    ``candidates`` (B, K, 3, H, W) if there are K, and ``labels``, for every key a (B,) tensor.

    Args:
        label_keys: The labels to pass on; those that a sample does not have are left out.
    """

    def __init__(self, label_keys: Sequence[str] = ('gt_label',)) -> None:
        self.label_keys = tuple(label_keys)

    def transform(self, results: dict) -> dict:
        """Pack one sample.

        Args:
            results: Holds ``img`` (H, W, 3) uint8 BGR, or (H, W, C), ``ori_shape`` (height, width), any labels, and
                maybe ``candidates``, K arrays like ``img``.

        Returns:
            ``inputs`` (3, H, W) uint8 RGB, or (C, H, W) uint8 or float32; ``image_size`` (2,) int64 original height and
            width; and, if the sample has any, ``candidates`` (K, 3, H, W) uint8 RGB and ``labels`` {key: int of a
            class, or float of a number}.
        """
        packed = {'inputs': _planes([results['img']])[0], 'image_size': torch.tensor(results['ori_shape'])}
        if 'candidates' in results:
            packed['candidates'] = _planes(results['candidates'])
        labels = {key: plain_label(results[key]) for key in self.label_keys if key in results}
        return {**packed, 'labels': labels} if labels else packed

    def __repr__(self) -> str:
        """Show the arguments."""
        return f'PackCanvas(label_keys={self.label_keys})'
