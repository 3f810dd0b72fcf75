"""The pixels of a TIFF as they are stored: any number of channels, 8 to 64 bits, strips or tiles.

Pillow and OpenCV open at most four channels, and take the fourth one for transparency. Tags are read by Pillow, and
its libtiff decompresses. Numbers are those of the TIFF 6.0 specification and Adobe's technical note 3 (predictor 3).
"""

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import TiffImagePlugin

#: (bits, sample format) to a type of NumPy.
TYPES = {
    **{(bits, 1): f'u{bits // 8}' for bits in (8, 16, 32)},
    **{(bits, 2): f'i{bits // 8}' for bits in (8, 16, 32)},
    **{(bits, 3): f'f{bits // 8}' for bits in (16, 32, 64)},
}
PLAIN, DEFLATE = 1, (8, 32946)
#: Compressions that libtiff undoes: LZW, PackBits, LZMA, Zstandard.
BY_LIBTIFF = (5, 32773, 34925, 50000)
NO_PREDICTOR, DIFFERENCES, FLOAT_DIFFERENCES = 1, 2, 3


class Unsupported(ValueError):
    """A file is whole, and its pixels are of a kind that is not read."""


def read_tiff(data: bytes, check_size: Callable[[int, int], None]) -> np.ndarray:
    """The first page of a TIFF.

    Args:
        data: The file.
        check_size: Raises an error if (height, width) is too large.

    Returns:
        (H, W, C), of the file's type.

    Raises:
        Unsupported: The type of the pixels or the compression is not read.
        Exception: The file is damaged.
    """
    big = 43 in data[2:4]  # BigTIFF
    tags = TiffImagePlugin.ImageFileDirectory_v2(data[: 16 if big else 8])
    file, start = io.BytesIO(data), tags.next
    file.seek(start)
    tags.load(file)
    places = (324, 325) if 322 in tags else (273, 279)
    entries = int.from_bytes(data[start : start + (8 if big else 2)], 'little' if data[:2] == b'II' else 'big')
    if len(tags) < entries or any(tag not in tags for tag in (256, 257, *places)):  # Pillow passes over bad entries
        raise ValueError('its directory is cut short')
    offsets, lengths = (tags[tag] for tag in places)
    height, width, channels = int(tags[257]), int(tags[256]), int(tags.get(277, 1))
    check_size(height, width)
    type_ = _type(tags, '<' if data[:2] == b'II' else '>')
    compression, predictor = int(tags.get(259, PLAIN)), int(tags.get(317, NO_PREDICTOR))
    if compression not in (PLAIN, *DEFLATE, *BY_LIBTIFF):
        raise Unsupported(
            f'it is compressed by method {compression}; read are none, Deflate, LZW, PackBits, LZMA, Zstd'
        )
    if 322 in tags:
        rows, columns = int(tags[323]), int(tags[322])
    else:
        rows, columns = min(int(tags.get(278, height)), height), width
    apart = int(tags.get(284, 1)) == 2  # each channel has blocks of its own
    depth = 1 if apart else channels
    across, down = -(-width // columns), -(-height // rows)
    if min(len(offsets), len(lengths)) < across * down * (channels // depth):
        raise ValueError(f'{len(offsets)} blocks of pixels are too few')
    out = np.empty((height, width, channels), type_.newbyteorder('='))
    for number in range(across * down * (channels // depth)):
        plane, place = divmod(number, across * down)
        top, left = place // across * rows, place % across * columns
        shape = rows if 322 in tags else min(rows, height - top), columns, depth
        part = data[offsets[number] : offsets[number] + lengths[number]]
        raw = _decompressed(part, compression, shape[0], columns * depth * type_.itemsize)
        block = _undone(np.frombuffer(raw, np.uint8), predictor, shape, type_)[: height - top, : width - left]
        out[top : top + len(block), left : left + block.shape[1], plane : plane + depth] = block
    return out


def _type(tags: Any, order: str) -> np.dtype:
    bits, formats = set(tags.get(258, (1,))), set(tags.get(339, (1,)))
    photometric = tags.get(262, 1)
    found = TYPES.get((min(bits), min(formats))) if len(bits) == len(formats) == 1 else None
    if found is None:
        raise Unsupported(f'its channels have {sorted(bits)} bits and sample formats {sorted(formats)}')
    if photometric not in (1, 2):
        raise Unsupported(f'its photometric interpretation is {photometric}; read are 1 and 2, plain grey values')
    return np.dtype(order + found)


def _decompressed(part: bytes, compression: int, rows: int, row: int) -> bytes:
    """The bytes of a block of ``rows`` with ``row`` bytes each."""
    if compression in DEFLATE:
        part = zlib.decompress(part)
    elif compression in BY_LIBTIFF:
        part = _by_libtiff(part, compression, rows, row)
    if len(part) < rows * row:
        raise ValueError(f'a block has {len(part):,} of {rows * row:,} bytes')
    return part[: rows * row]


def _by_libtiff(part: bytes, compression: int, rows: int, row: int) -> bytes:
    """Decompress a block as if it was a grey picture of 8 bits, which it is to libtiff."""
    entries = [(256, row), (257, rows), (258, 8), (259, compression), (262, 1)]
    entries += [(273, 8), (277, 1), (278, rows), (279, len(part))]
    header = struct.pack('<2sHI', b'II', 42, 8 + len(part))
    directory = b''.join(struct.pack('<HHII', tag, 4, 1, value) for tag, value in entries)
    file = header + part + struct.pack('<H', len(entries)) + directory + bytes(4)
    return TiffImagePlugin.TiffImageFile(io.BytesIO(file)).tobytes()


def _undone(raw: np.ndarray, predictor: int, shape: tuple[int, int, int], type_: np.dtype) -> np.ndarray:
    """Pixels (rows, columns, channels) of a block, from bytes in which a predictor stored differences."""
    rows, columns, depth = shape
    if predictor == FLOAT_DIFFERENCES:  # of bytes; then all first bytes of a row, all second ones, and so on
        raw = raw.reshape(rows, -1, depth).cumsum(1, dtype=np.uint8).reshape(rows, type_.itemsize, columns * depth)
        return np.ascontiguousarray(raw.transpose(0, 2, 1)).view(type_.newbyteorder('>')).reshape(shape)
    values = raw.view(type_).reshape(shape)
    if predictor == DIFFERENCES:
        values = values.astype(type_.newbyteorder('=')).cumsum(1, dtype=type_.newbyteorder('='))
    elif predictor != NO_PREDICTOR:
        raise Unsupported(f'its predictor is {predictor}; read are 1, 2 and 3')
    return values
