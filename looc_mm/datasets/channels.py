"""Pictures that are not 8-bit RGB: any number of channels, 16 bits or float, from TIFF, PNG or .npy.

Shapes
    C  channels of a picture
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .tiff import Unsupported

NPY, START_OF_NPY = '.npy', b'\x93NUMPY'
#: Arguments that describe the channels, of the preprocessor and of transforms that load pictures.
SETTINGS = ('in_channels', 'bit_depth', 'window')

Window = tuple[float, float] | tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Channels:
    """The channels of the pictures of a training, and which values are black and white.

    Attributes:
        count: C.
        window: Values that become 0 and 1, one pair or a pair for each channel; None for 8-bit pictures alone.
    """

    count: int
    window: Window | None = None

    @classmethod
    def of(
        cls,
        in_channels: int | None = None,
        bit_depth: int | None = None,
        window: Sequence[float] | Sequence[Sequence[float]] | None = None,
    ) -> 'Channels | None':
        """The channels that a config describes; None if it describes none, for 8-bit RGB.

        Args:
            in_channels: C.
            bit_depth: Bits of the values that pictures use: 12 for values from 0 to 4095.
            window: The values that become black and white, (low, high), or such a pair for each channel.

        Raises:
            ValueError: They are out of range, or do not fit each other.
        """
        if in_channels is None:
            if bit_depth is None and window is None:
                return None
            raise ValueError(f'Got bit_depth={bit_depth} and window={window}; they need in_channels, such as 3.')
        if not isinstance(in_channels, int) or in_channels < 1:
            raise ValueError(f'Got in_channels={in_channels!r}; allowed is a number of channels, 1 or more.')
        if bit_depth is not None and window is not None:
            raise ValueError(f'Got bit_depth={bit_depth} and window={window}; give one of them.')
        if bit_depth is not None:
            if not isinstance(bit_depth, int) or not 1 <= bit_depth <= 32:
                raise ValueError(f'Got bit_depth={bit_depth!r}; allowed are 1 to 32 bits.')
            return cls(in_channels, (0.0, 2.0**bit_depth - 1))
        if window is None:
            return cls(in_channels)
        pairs = np.array(window, dtype=float) if _is_window(window, in_channels) else np.empty((0, 2))
        if not pairs.size or not np.isfinite(pairs).all() or not (pairs[..., 0] < pairs[..., 1]).all():
            raise ValueError(
                f'Got window={window!r}; allowed is (low, high) with low < high, or {in_channels} such pairs, one for '
                f'each channel.'
            )
        found = pairs.tolist()
        return cls(in_channels, tuple(map(tuple, found)) if pairs.ndim == 2 else tuple(found))

    def settings(self) -> dict[str, Any]:
        """Arguments of a transform that loads such pictures."""
        return {'in_channels': self.count, 'window': self.window}

    def scaled(self, pixels: np.ndarray) -> np.ndarray:
        """Bring pixels to a canvas's range.

        Args:
            pixels: (H, W, C), in the order of the file.

        Returns:
            (H, W, C): uint8 as it is without a window; with one float32 in [0, 1], NaN as 0. In OpenCV's order: blue,
            green, red and the others, if C is 3 or more.

        Raises:
            Unsupported: The pixels are not of 8 bits, and there is no window.
        """
        if self.window is None:
            if pixels.dtype != np.uint8:
                raise Unsupported(f'its values are {pixels.dtype}, and neither bit_depth nor window is set')
            out = pixels
        else:
            low, high = np.moveaxis(np.array(self.window, np.float32), -1, 0)
            out = np.nan_to_num(((pixels.astype(np.float32) - low) / (high - low)).clip(0, 1), copy=False)
        return out[..., bgr_order(self.count)]


def _is_window(window: Any, channels: int) -> bool:
    """Whether it is a pair of numbers, or as many pairs as channels."""

    def pair(value: Any) -> bool:
        return isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(x, int | float) for x in value)

    return pair(window) or (isinstance(window, list | tuple) and len(window) == channels and all(map(pair, window)))


def bgr_order(channels: int) -> list[int]:
    """Where each channel of RGB and more is in OpenCV's order, and the other way round: 2, 1, 0, 3, ..., C - 1."""
    return [2, 1, 0, *range(3, channels)] if channels >= 3 else list(range(channels))


def channel_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a config that describe channels."""
    return {key: config[key] for key in SETTINGS if config.get(key) is not None}


def read_npy(data: bytes, channels: int) -> np.ndarray:
    """A picture from an .npy file.

    Args:
        data: The file: an array (H, W), (H, W, C) or (C, H, W).
        channels: C.

    Returns:
        (H, W, C). The first axis is taken for the channels if its length is C and the last one's is not.

    Raises:
        Unsupported: It is no such array, or not one of numbers.
    """
    array = np.load(io.BytesIO(data), allow_pickle=False)
    if array.ndim not in (2, 3) or array.dtype.kind not in 'buif' or 0 in array.shape:
        raise Unsupported(f'an array {array.shape} of {array.dtype} is no picture; (H, W, C) of numbers is read')
    if array.ndim == 2:
        array = array[..., None]
    elif array.shape[0] == channels != array.shape[2]:
        array = array.transpose(1, 2, 0)
    return array.astype(np.uint8) if array.dtype == bool else array
