"""Writes TIFFs with any number of channels, by the specification of TIFF 6.0."""

import struct
import zlib

import numpy as np

KINDS = {'u': 1, 'i': 2, 'f': 3}


def tiff(
    pixels: np.ndarray,
    order: str = '<',
    block: tuple[int, int] | None = None,
    rows: int = 7,
    apart: bool = False,
    deflate: bool = False,
    **tags: int,
) -> bytes:
    """A file of (H, W, C) pixels: in strips of some rows, or in tiles (``block``); channels side by side or apart."""
    height, width, channels = pixels.shape
    tall, wide = block or (rows, width)
    planes = [pixels[..., k : k + 1] for k in range(channels)] if apart else [pixels]
    parts = []
    for plane in planes:
        for top in range(0, height, tall):
            for left in range(0, width, wide):
                part = plane[top : top + tall, left : left + wide]
                if block:
                    part = np.pad(part, ((0, tall - part.shape[0]), (0, wide - part.shape[1]), (0, 0)))
                raw = part.astype(part.dtype.newbyteorder(order)).tobytes()
                parts.append(zlib.compress(raw) if deflate else raw)
    offsets = np.cumsum([8, *map(len, parts)])[:-1].tolist()
    lengths = [len(part) for part in parts]
    entries = {256: [width], 257: [height], 258: [8 * pixels.itemsize] * channels, 259: [8 if deflate else 1], 262: [1]}
    entries |= {277: [channels], 284: [2 if apart else 1], 339: [KINDS[pixels.dtype.kind]] * channels}
    entries |= {322: [wide], 323: [tall], 324: offsets, 325: lengths} if block else {}
    entries |= {} if block else {273: offsets, 278: [rows], 279: lengths}
    entries |= {int(tag[1:]): [value] for tag, value in tags.items()}
    body = b''.join(parts)
    at, more = 8 + len(body), b''
    places = at + 2 + 12 * len(entries) + 4
    directory = struct.pack(order + 'H', len(entries))
    for tag, values in sorted(entries.items()):
        packed = struct.pack(f'{order}{len(values)}I', *values)
        value = packed if len(values) == 1 else struct.pack(order + 'I', places + len(more))
        more += b'' if len(values) == 1 else packed
        directory += struct.pack(order + 'HHI', tag, 4, len(values)) + value
    magic = b'II' if order == '<' else b'MM'
    return magic + struct.pack(order + 'HI', 42, at) + body + directory + bytes(4) + more


def bands(channels: int, type_: str = 'u1', height: int = 45, width: int = 37, seed: int = 0) -> np.ndarray:
    """(H, W, C) numbers, each channel of its own."""
    values = np.random.default_rng(seed).random((height, width, channels))
    return (values * (200 if type_ in ('u1', 'i1') else 3000)).astype(type_)
