"""The decoder of every picture that looc_mm reads from a file: 8-bit pixels, upright, on white, or an error.

JPEG is decoded by OpenCV, and so are other plain pictures. Pillow reads the header of every other format, and decodes
what OpenCV gets wrong: transparency, orientation, palettes with transparency, animations, TIFF.
"""

import io
import logging
import mmap
import os
from functools import partial
from typing import IO, NamedTuple, cast

import cv2
import numpy as np
from mmengine.logging import print_log
from PIL import (
    AvifImagePlugin,  # noqa: F401, these modules register their format
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    ImageFile,
    ImageOps,
    Jpeg2KImagePlugin,  # noqa: F401
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    PpmImagePlugin,  # noqa: F401
    TiffImagePlugin,
    WebPImagePlugin,  # noqa: F401
)

from .channels import NPY, START_OF_NPY, Channels, bgr_order, read_npy
from .tiff import Unsupported, read_tiff

#: What the name of a picture ends with, in either case. The content decides how a file is decoded.
EXTENSIONS = (
    *('.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.webp', '.avif', '.gif', '.bmp', '.dib'),
    *('.tif', '.tiff', '.jp2', '.j2k', '.ppm', '.pgm', '.pbm', '.pnm'),
)
#: Pillow's names of the formats that are read.
FORMATS = ('JPEG', 'PNG', 'WEBP', 'AVIF', 'GIF', 'BMP', 'TIFF', 'JPEG2000', 'PPM')
PLAIN_FORMATS = ('PNG', 'WEBP', 'BMP')  # in which OpenCV decodes opaque pictures, to the same pixels and faster
PLAIN_MODES = ('1', 'L', 'P', 'RGB')
#: Pixels of the largest picture, twice Pillow's ``MAX_IMAGE_PIXELS``; the variable of the environment changes it.
MAX_PIXELS, MAX_PIXELS_VARIABLE = 178_956_970, 'LOOC_MM_MAX_PIXELS'

# Kinds of what is wrong with a file.
MISSING, EMPTY, NO_PICTURE, DAMAGED = 'missing', 'empty', 'not a picture', 'damaged'
TOO_LARGE, PIXEL_TYPE, CHANNELS = 'too many pixels', 'pixel type', 'number of channels'

START_OF_TIFF = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
START_OF_JPEG, END_OF_JPEG = b'\xff\xd8', b'\xff\xd9'
REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}

_said: set[str] = set()  # topics of which this process has logged a warning


class PictureError(ValueError):
    """A file is not a picture that looc_mm reads; the message names the file.

    Args:
        text: The message.
        kind: Of what is wrong, such as ``DAMAGED``.
        reason: The message without the name of the file and without the remedy.
    """

    def __init__(self, text: str, kind: str = '', reason: str = '') -> None:
        super().__init__(text)
        self.kind, self.reason = kind, reason


class Picture(NamedTuple):
    """A decoded picture.

    Attributes:
        img: (H, W, 3) uint8 BGR, upright as its EXIF says, composited on white.
        shape: Height and width of the original, upright.
        transparent: Whether a pixel was not opaque.
    """

    img: np.ndarray
    shape: tuple[int, int]
    transparent: bool


def extensions(channels: Channels | None) -> tuple[str, ...]:
    """What the names of pictures end with: ``EXTENSIONS``, and .npy where channels are described."""
    return EXTENSIONS if channels is None else (*EXTENSIONS, NPY)


def decode(path: str, channels: Channels | None = None, data: bytes | None = None) -> np.ndarray:
    """Decode a file.

    Args:
        path: The file.
        channels: For pictures that are not 8-bit RGB.
        data: The content, if it was read already; ``path`` is then for messages.

    Returns:
        (H, W, 3) uint8 BGR, upright as its EXIF says, composited on white. With ``channels`` (H, W, C) as of
        :meth:`looc_mm.datasets.channels.Channels.scaled`; only a JPEG is turned as its EXIF says.

    Raises:
        PictureError: The file is not a picture that looc_mm reads.
        OSError: The file cannot be read; ``FileNotFoundError`` if there is none.
    """
    if channels is None:
        return _decoded(path, data=data).img
    return decode_channels(_content(path, data), path, channels)


def decode_for(
    path: str, size: int, channels: Channels | None = None, data: bytes | None = None
) -> tuple[np.ndarray, tuple[int, int]]:
    """Decode a file for a canvas: a large JPEG at a half, a quarter or an eighth of its size, twice as fast.

    Both sides stay at least twice the canvas's. Then canvases agree with those from all pixels to 44 dB in the median,
    on pictures that are sharp to the pixel, and to 39 dB at the least.

    Args:
        path: The file.
        size: Side of the canvas, in pixels.
        channels: For pictures that are not 8-bit RGB, which are decoded whole.
        data: The content, if it was read already; ``path`` is then for messages.

    Returns:
        (H, W, 3) uint8 BGR, or (H, W, C), as of :func:`decode`; and the original's height and width, upright too.

    Raises:
        PictureError: The file is not a picture that looc_mm reads.
        OSError: The file cannot be read.
    """
    if channels is not None:
        img = decode(path, channels, data)
        return img, img.shape[:2]
    picture = _decoded(path, size, data)
    return picture.img, picture.shape


def decode_bytes(data: bytes, name: str, size: int | None = None) -> Picture:
    """Decode the content of a file.

    Args:
        data: The content.
        name: For messages.
        size: Side of a canvas, as for :func:`decode_for`; None to decode all pixels.

    Raises:
        PictureError: The content is not a picture that looc_mm reads.
    """
    if data[:2] == START_OF_JPEG:
        height, width, scan = _jpeg_header(data, name)
        if not data.endswith(END_OF_JPEG) and data.find(END_OF_JPEG, scan) < 0:
            raise _damaged(data, name, 'it was cut short, its end marker is missing')
        times, flag = 1, cv2.IMREAD_COLOR
        for smaller, reduced in REDUCED.items():
            # libjpeg rounds a size up, which would stretch the picture by up to a pixel.
            if size and height % smaller == width % smaller == 0 and min(height, width) >= 2 * size * smaller:
                times, flag = smaller, reduced
                break
        img = _by_opencv(data, flag)
        if img is not None:
            return Picture(img, (img.shape[0] * times, img.shape[1] * times), False)
    return _by_pillow(data, name)


def decode_channels(data: bytes, name: str, channels: Channels) -> np.ndarray:
    """Decode the content of a file with any number of channels: an .npy, a TIFF, or what OpenCV decodes.

    Args:
        data: The content.
        name: For messages.
        channels: Of the picture.

    Returns:
        (H, W, C) uint8 or float32, as of :meth:`looc_mm.datasets.channels.Channels.scaled`.

    Raises:
        PictureError: The content is not such a picture, or has another number of channels.
    """
    try:
        pixels = _all_channels(data, name, channels)
        found = pixels.shape[2]
        if found != channels.count:
            raise _error(
                name,
                CHANNELS,
                f'has {found} channel{"s" * (found > 1)}, and model.data_preprocessor.in_channels={channels.count} is '
                'set',
                f'Set in_channels={found} if this is the number of all pictures, or convert this one.',
            )
        return channels.scaled(pixels)
    except Unsupported as error:
        raise _error(
            name,
            PIXEL_TYPE,
            f'cannot be read: {error}',
            'Set model.data_preprocessor.bit_depth, such as 16, or window, such as [0, 4095], the values that become '
            'black and white. Other kinds of files: save them as .npy or as a plain TIFF.',
        ) from error
    except PictureError:
        raise
    except Exception as error:  # of any kind: decoders are many
        raise _damaged(data, name, str(error)) from error


def picture_size(path: str) -> tuple[int, int]:
    """Height and width of a picture by its header, before it is turned as its EXIF says.

    Raises:
        PictureError: By its header the file is not a picture that looc_mm reads.
        OSError: The file cannot be read.
    """
    with open(path, 'rb') as file:
        if not os.fstat(file.fileno()).st_size:
            raise _empty(path)
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:2] == START_OF_JPEG:
                return _jpeg_header(data, path)[:2]
            width, height = _open(cast(IO[bytes], data), path).size
            return height, width


def look_at(path: str) -> tuple[str, str, bool]:
    """Decode a file to find out what is wrong with it.

    Returns:
        The kind and the reason of what is wrong, both '' if nothing is; and whether a pixel is not opaque.
    """
    try:
        return '', '', decode_bytes(_content(path), path).transparent
    except PictureError as error:
        return error.kind, error.reason, False
    except FileNotFoundError:
        return MISSING, 'there is no such file', False
    except OSError as error:
        return DAMAGED, f'it cannot be read: {error.strerror or error}', False


def check_pixels(height: int, width: int, name: str) -> None:
    """Raise PictureError if a picture has too many pixels."""
    limit = int(os.environ.get(MAX_PIXELS_VARIABLE, MAX_PIXELS))
    if height * width > limit:
        raise _error(
            name,
            TOO_LARGE,
            f'has {width:,} x {height:,} pixels, and at most {limit:,} are read because a small file can claim to be '
            'a picture that fills the memory',
            f'Reduce it or cut it into tiles, or set the environment variable {MAX_PIXELS_VARIABLE} to more pixels.',
        )


def warn_once(topic: str, text: str) -> None:
    """Log a warning, the first one of its topic in this process."""
    if topic not in _said:
        _said.add(topic)
        print_log(f'{text} (logged once per process)', logger='current', level=logging.WARNING)


def _decoded(path: str, size: int | None = None, data: bytes | None = None) -> Picture:
    """A picture; the first transparent picture of this process is logged."""
    picture = decode_bytes(_content(path, data), path, size)
    if picture.transparent:
        warn_once('transparent', f'{path!r} is transparent; transparent pictures are composited on white')
    return picture


def _content(path: str, data: bytes | None = None) -> bytes:
    try:
        if data is None:
            with open(path, 'rb') as file:
                data = file.read()
    except FileNotFoundError:
        raise FileNotFoundError(
            f'There is no file {path!r}. It was listed and has gone since, or a list or a link leads to it.'
        ) from None
    if not data:
        raise _empty(path)
    return data


def _all_channels(data: bytes, name: str, channels: Channels) -> np.ndarray:
    """(H, W, channels of the file) of any type, red first where a file has colours."""
    if data.startswith(START_OF_NPY):
        return read_npy(data, channels.count)
    if data.startswith(START_OF_TIFF):
        return read_tiff(data, partial(check_pixels, name=name))
    flag = cv2.IMREAD_UNCHANGED
    if data[:2] == START_OF_JPEG:
        scan = _jpeg_header(data, name)[2]
        if data.find(END_OF_JPEG, scan) < 0:
            raise _damaged(data, name, 'it was cut short, its end marker is missing')
        flag = cv2.IMREAD_ANYCOLOR
    else:
        _open(io.BytesIO(data), name, any_bits=True)
    img = _by_opencv(data, flag)
    if img is None:
        raise ValueError('OpenCV does not decode it')
    img = img.reshape(*img.shape[:2], -1)
    return img[..., bgr_order(img.shape[2])]


def _jpeg_header(data: bytes | mmap.mmap, name: str) -> tuple[int, int, int]:
    """Height and width by the header of a JPEG, before it is turned, and where the first scan begins.

    Raises:
        PictureError: There is no header, or the picture has too many pixels or more than 8 bits.
    """
    at, size = 2, None
    while (at := data.find(b'\xff', at)) >= 0 and at + 9 < len(data):
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker <= 0x01 or 0xD0 <= marker <= 0xD8:  # without a length
            at += 2
            continue
        if marker == 0xDA and size is not None:
            return *size, at
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # a frame's header
            bits, height, width = data[at + 4], *(data[k] * 256 + data[k + 1] for k in (at + 5, at + 7))
            if bits != 8:
                raise _pixel_type(name, bits, channels=data[at + 9])
            check_pixels(height, width, name)
            size = height, width
        at += 2 + data[at + 2] * 256 + data[at + 3]
    raise _damaged(data, name, 'it was cut short within its header')


def _by_opencv(data: bytes, flag: int = cv2.IMREAD_COLOR) -> np.ndarray | None:
    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error:
        return None


def _by_pillow(data: bytes, name: str) -> Picture:
    """Decode what is not a plain JPEG."""
    image = _open(io.BytesIO(data), name)
    alpha = image.has_transparency_data
    turned = 'exif' in image.info or b'eXIf' in data  # a PNG may have it after the pixels
    plain = image.format in PLAIN_FORMATS and image.mode in PLAIN_MODES and getattr(image, 'n_frames', 1) == 1
    if plain and not alpha and not turned:
        img = _by_opencv(data)
        if img is not None:
            return Picture(img, img.shape[:2], False)
    try:
        upright = ImageOps.exif_transpose(image)
        if alpha:
            upright = upright.convert('RGBA')
        transparent = alpha and bool((np.asarray(upright.getchannel('A')) < 255).any())
        if transparent:
            upright = Image.alpha_composite(Image.new('RGBA', upright.size, 'white'), upright)
        img = cv2.cvtColor(np.asarray(upright.convert('RGB')), cv2.COLOR_RGB2BGR)
    except Exception as error:  # of any kind: decoders are many
        raise _damaged(data, name, str(error)) from error
    return Picture(img, img.shape[:2], transparent)


def _open(file: IO[bytes], name: str, any_bits: bool = False) -> ImageFile.ImageFile:
    """A picture whose header alone was read, and is right; with ``any_bits`` not only 8 bits a channel are.

    ``Image.open`` would do, but for its own limit of pixels, which is global.
    """
    head = file.read(16)
    file.seek(0)
    matches = [opener for opener, accepts in map(Image.OPEN.__getitem__, FORMATS) if accepts and accepts(head) is True]
    if not matches:
        raise _error(
            name,
            NO_PICTURE,
            f'is not a picture of a format that is read ({", ".join(FORMATS)}): it begins with {head!r}',
            'Convert it, or move it to another folder.',
        )
    try:
        if head[:2] in (b'II', b'MM'):
            _check_tiff(file, name)
        file.seek(0)
        image = matches[0](file, '')
        assert isinstance(image, ImageFile.ImageFile)
    except PictureError:
        raise
    except Exception as error:
        raise _damaged(file, name, str(error)) from error
    width, height = image.size
    check_pixels(height, width, name)
    bits = 8 if any_bits else _bits(image, file)
    if bits > 8:
        raise _pixel_type(name, bits, ' float' if image.mode == 'F' else '', len(image.getbands()))
    return image


def _check_tiff(file: IO[bytes], name: str) -> None:
    """Refuse pixel types by the tags of a TIFF, because Pillow does not open all of them."""
    header = file.read(8)
    header += file.read(8) if header[2] == 43 else b''  # BigTIFF
    tags = TiffImagePlugin.ImageFileDirectory_v2(header)
    file.seek(tags.next)
    tags.load(file)
    bits, formats = (tags.get(tag, (1,)) for tag in (TiffImagePlugin.BITSPERSAMPLE, TiffImagePlugin.SAMPLEFORMAT))
    kind = {2: ' signed', 3: ' float'}.get(max(formats), '')
    if max(bits) > 8 or kind:
        raise _pixel_type(name, max(bits), kind, tags.get(TiffImagePlugin.SAMPLESPERPIXEL, len(bits)))


def _bits(image: ImageFile.ImageFile, file: IO[bytes]) -> int:
    """Bits of a channel. Pillow's mode has them for grey pictures; for others they are in the file."""
    if image.mode in ('I', 'F') or image.mode.startswith('I;'):
        return 32 if image.mode == 'F' else 16
    if image.format == 'PPM':
        arguments = image.tile[0].args
        return int(arguments[1]).bit_length() if isinstance(arguments, tuple) else 8
    if image.format in ('JPEG2000', 'AVIF'):
        at = file.tell()
        file.seek(0)
        head = file.read(1 << 16)
        file.seek(at)
        if image.format == 'AVIF':
            place = head.find(b'av1C')
            return 8 if place < 0 or not head[place + 6] & 0x40 else 12 if head[place + 6] & 0x20 else 10
        place = head.find(b'\xff\x51')  # SIZ, the size of image and tiles
        return 1 + max((each & 127 for each in head[place + 40 : place + 40 + 3 * head[place + 39] : 3]), default=7)
    if image.format == 'PNG':
        at = file.tell()
        file.seek(24)
        bits = file.read(1)[0]
        file.seek(at)
        return bits
    return 8


def _error(name: str, kind: str, reason: str, remedy: str) -> PictureError:
    return PictureError(f'{name!r} {reason}. {remedy} docs/pictures.md describes what is read.', kind, reason)


def _empty(name: str) -> PictureError:
    return _error(name, EMPTY, 'is empty (0 bytes)', 'Copy it again from its source, or move it to another folder.')


def _damaged(data: bytes | mmap.mmap | IO[bytes], name: str, reason: str) -> PictureError:
    size = len(data) if isinstance(data, bytes | mmap.mmap) else data.seek(0, os.SEEK_END)
    text = f'cannot be decoded as an image ({size:,} bytes): {" ".join(reason.split()) or "it is damaged"}'
    return _error(name, DAMAGED, text, 'Copy it again from its source, or move it to another folder.')


def _pixel_type(name: str, bits: int, kind: str = '', channels: int = 1) -> PictureError:
    return _error(
        name,
        PIXEL_TYPE,
        f'has the pixel type {bits}-bit{kind}, {channels} channel{"s" * (channels > 1)}, and pictures of 8 bits a '
        'channel are read',
        'Convert it to 8 bits, from the range of values that your pictures have.',
    )
