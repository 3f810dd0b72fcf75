"""Pictures of every kind are right, or one error names the file."""

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from looc_mm.datasets import decoding
from looc_mm.datasets.decoding import EXTENSIONS, PictureError, decode, decode_for, look_at, picture_size
from looc_mm.datasets.transforms import LoadImageFromFile, ResizeShortEdge, to_square


def colours(height: int = 30, width: int = 44, channels: int = 3, seed: int = 0) -> np.ndarray:
    """A smooth picture, which JPEG keeps."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 5, channels), dtype=np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).reshape(height, width, channels)


def saved(image: Image.Image, kind: str, orientation: int = 0, **options: object) -> bytes:
    if orientation:
        exif = Image.Exif()
        exif[0x112] = orientation
        options['exif'] = exif
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def on_white(image: Image.Image) -> np.ndarray:
    """(H, W, 3) BGR of a picture with alpha, by the formula."""
    rgba = np.asarray(image.convert('RGBA')).astype(float)
    alpha = rgba[..., 3:] / 255
    return (rgba[..., :3] * alpha + 255 * (1 - alpha))[..., ::-1]


def reference(data: bytes) -> np.ndarray:
    """(H, W, 3) BGR by Pillow; raises if Pillow cannot decode it."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    return on_white(image)


def png(width: int, height: int, bits: int = 8, rows: bytes = b'') -> bytes:
    """A PNG of RGB, maybe with a header that claims more than there is."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack('>I', len(content)) + name + content + struct.pack('>I', zlib.crc32(name + content))

    header = chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, bits, 2, 0, 0, 0))
    return b'\x89PNG\r\n\x1a\n' + header + chunk(b'IDAT', zlib.compress(rows)) + chunk(b'IEND', b'')


def with_jpeg_header(bits: int = 8, height: int = 30, width: int = 44) -> bytes:
    data = saved(Image.fromarray(colours()), 'JPEG')
    at = data.index(b'\xff\xc0')
    return data[: at + 4] + struct.pack('>BHH', bits, height, width) + data[at + 9 :]


def tiff(array: np.ndarray, bits: int, sample_format: int) -> bytes:
    """An uncompressed TIFF of (H, W, C) samples, which Pillow cannot write for colours."""
    height, width, channels = array.shape
    pixels = array.tobytes()
    entries = [(256, width), (257, height), (259, 1), (262, 2 if channels == 3 else 1)]
    many = 8 + len(pixels)
    entries += [(273, 8), (277, channels), (278, height), (279, len(pixels)), (339, sample_format)]
    table = {tag: struct.pack('<HHIHH', tag, 3, 1, value, 0) for tag, value in entries if value < 65536}
    table |= {tag: struct.pack('<HHII', tag, 4, 1, value) for tag, value in entries if value >= 65536}
    place = struct.pack('<I', many) if channels == 3 else struct.pack('<HH', bits, 0)
    table[258] = struct.pack('<HHI', 258, 3, channels) + place
    content = struct.pack('<H', len(table)) + b''.join(table[tag] for tag in sorted(table)) + struct.pack('<I', 0)
    return b'II*\0' + struct.pack('<I', many + 6) + pixels + struct.pack('<HHH', *[bits] * 3) + content


def odd_pictures() -> dict[str, tuple[str, bytes, str]]:
    """Name of the case to the file's ending, its content, and the kind of the error, '' for a picture."""
    rgb, grey = Image.fromarray(colours()), Image.fromarray(colours(channels=1)[..., 0])
    alpha = Image.fromarray(colours(channels=4))
    palette = rgb.quantize(16)
    sixteen = colours(channels=1)[..., 0].astype(np.uint16) * 17
    deep = Image.fromarray(sixteen)
    cases: dict[str, tuple[str, bytes, str]] = {}

    def add(name: str, ending: str, data: bytes, kind: str = '') -> None:
        cases[name] = ending, data, kind

    plain = {
        'jpeg': ('jpg', 'JPEG', dict(quality=92)),
        'progressive': ('jpe', 'JPEG', dict(quality=92, progressive=True)),
        'png': ('png', 'PNG', {}),
        'webp': ('webp', 'WEBP', dict(quality=92)),
        'lossless webp': ('webp', 'WEBP', dict(lossless=True)),
        'avif': ('avif', 'AVIF', dict(quality=95)),
        'jpeg 2000': ('jp2', 'JPEG2000', {}),
        'gif': ('gif', 'GIF', {}),
        'bmp': ('bmp', 'BMP', {}),
        'tiff': ('tif', 'TIFF', {}),
        'lzw tiff': ('tiff', 'TIFF', dict(compression='tiff_lzw')),
        'ppm': ('ppm', 'PPM', {}),
    }
    for name, (ending, kind, options) in plain.items():
        data = saved(rgb, kind, **options)
        add(name, ending, data)
        add(f'grey {name}', ending, saved(grey, kind, **options))
        for part in (0.3, 0.6, 0.9):
            add(f'{name} cut at {part}', ending, data[: int(part * len(data))], 'damaged')
        add(f'{name} called .png', 'png', data)
    for kind, ending in dict(PNG='png', WEBP='webp', TIFF='tif', AVIF='avif').items():
        options = dict(lossless=True) if kind == 'WEBP' else dict(quality=95) if kind == 'AVIF' else {}
        add(f'alpha {kind}', ending, saved(alpha, kind, **options))
        for orientation in (3, 6):
            add(f'EXIF {orientation} {kind}', ending, saved(rgb, kind, orientation, **options))
        add(f'EXIF 8 and alpha {kind}', ending, saved(alpha, kind, 8, **options))
    for orientation in range(1, 9):
        add(f'EXIF {orientation} JPEG', 'jpg', saved(rgb, 'JPEG', orientation, quality=92))
    add('grey and alpha', 'png', saved(alpha.convert('LA'), 'PNG'))
    add('palette', 'png', saved(palette, 'PNG'))
    add('palette with alpha', 'png', saved(palette, 'PNG', transparency=bytes(range(0, 256, 16))))
    add('palette with a transparent colour', 'png', saved(palette, 'PNG', transparency=3))
    add('colour key', 'png', saved(Image.new('RGB', (9, 7), (1, 2, 3)), 'PNG', transparency=(1, 2, 3)))
    add('bilevel', 'png', saved(grey.convert('1'), 'PNG'))
    add('bilevel tiff', 'tif', saved(grey.convert('1'), 'TIFF'))
    add('palette tiff', 'tif', saved(palette, 'TIFF'))
    add('palette bmp', 'bmp', saved(palette, 'BMP'))
    add('transparent gif', 'gif', saved(palette, 'GIF', transparency=2))
    add('animation', 'gif', saved(palette, 'GIF', save_all=True, append_images=[palette.rotate(180)]))
    add('animated webp', 'webp', saved(rgb, 'WEBP', save_all=True, append_images=[rgb.rotate(180)], lossless=True))
    add('animated png', 'png', saved(rgb, 'PNG', save_all=True, append_images=[rgb.rotate(180)]))
    add('cmyk jpeg', 'jpg', saved(rgb.convert('CMYK'), 'JPEG', quality=92))
    add('cmyk tiff', 'tif', saved(rgb.convert('CMYK'), 'TIFF'))
    add('few levels', 'pgm', b'P5 4 2 15\n' + bytes(range(8)))
    add('one pixel', 'png', saved(Image.new('RGB', (1, 1), 'red'), 'PNG'))
    for ending, kind in dict(png='PNG', tif='TIFF', pgm='PPM', jp2='JPEG2000').items():
        add(f'16 bits {kind}', ending, saved(deep, kind), 'pixel type')
    add('16 bits RGB png', 'png', png(4, 3, 16, bytes(3 * (1 + 24))), 'pixel type')
    add('16 bits RGB tiff', 'tif', tiff(colours().astype(np.uint16) * 257, 16, 1), 'pixel type')
    add('12 bits in 16, RGB tiff', 'tif', tiff(colours().astype(np.uint16) * 16, 16, 1), 'pixel type')
    add('float RGB tiff', 'tif', tiff(colours().astype(np.float32), 32, 3), 'pixel type')
    add('float tiff', 'tif', saved(Image.fromarray(sixteen.astype(np.float32)), 'TIFF'), 'pixel type')
    add('32 bits tiff', 'tif', saved(Image.fromarray(sixteen.astype(np.int32)), 'TIFF'), 'pixel type')
    add('16 bits RGB ppm', 'ppm', b'P6 2 1 65535\n' + bytes(12), 'pixel type')
    add('10 bits ppm', 'ppm', b'P6 2 1 1023\n' + bytes(12), 'pixel type')
    ten = cv2.imencode('.avif', colours().astype(np.uint16) * 4, [cv2.IMWRITE_AVIF_DEPTH, 10])[1].tobytes()
    add('10 bits avif', 'avif', ten, 'pixel type')
    add('12 bits jpeg', 'jpg', with_jpeg_header(bits=12), 'pixel type')
    jpeg = saved(rgb, 'JPEG')
    add('no end', 'jpg', jpeg[:-2], 'damaged')
    add('zeros for the rest', 'jpg', jpeg[: len(jpeg) // 2] + bytes(5000), 'damaged')
    add('more behind the end', 'jpg', jpeg + b'more')
    add('only a start', 'jpg', jpeg[:2], 'damaged')
    add('flipped bits', 'png', saved(rgb, 'PNG')[:80] + b'\x55' * 9 + saved(rgb, 'PNG')[89:], 'damaged')
    for ending in ('jpg', 'png', 'tif'):
        add(f'empty {ending}', ending, b'', 'empty')
    add('a page', 'jpg', b'<html>404</html>', 'not a picture')
    add('heic called .jpg', 'jpg', b'\0\0\0\x18ftypheic\0\0\0\0heicmif1' + bytes(99), 'not a picture')
    add('bomb png', 'png', png(40_000, 40_000), 'too many pixels')
    add('bomb jpeg', 'jpg', with_jpeg_header(height=60_000, width=60_000), 'too many pixels')
    add(
        'bomb bmp',
        'bmp',
        saved(rgb, 'BMP')[:18] + struct.pack('<ii', 30_000, 30_000) + saved(rgb, 'BMP')[26:],
        'too many pixels',
    )
    add('bomb ppm', 'ppm', b'P6 50000 50000 255\n' + bytes(99), 'too many pixels')
    add('bomb gif', 'gif', b'GIF89a\xff\xff\xff\xff' + saved(palette, 'GIF')[10:], 'too many pixels')
    return cases


CASES = odd_pictures()


def test_there_are_many_cases():
    assert len(CASES) >= 100


@pytest.mark.parametrize('name', CASES)
def test_an_odd_picture_is_right_or_named(name, tmp_path):
    ending, data, kind = CASES[name]
    path = tmp_path / f'the picture.{ending}'
    path.write_bytes(data)
    assert path.suffix in EXTENSIONS
    if kind:
        for call in (decode, lambda file: decode_for(file, 4), lambda file: LoadImageFromFile()({'img_path': file})):
            with pytest.raises(PictureError, match=r'the picture\.') as error:
                call(str(path))
            assert error.value.kind == kind and 'delete' not in str(error.value).lower()
        assert look_at(str(path)) == (kind, error.value.reason, False)
        return
    expected = reference(data)
    img = decode(str(path))
    assert img.dtype == np.uint8 and img.shape == expected.shape
    lossy = data[:2] == b'\xff\xd8'
    assert np.abs(img - expected).max() <= (4 if lossy else 1)
    canvas, shape = decode_for(str(path), 64)
    assert shape == img.shape[:2] and np.array_equal(canvas, img)
    assert sorted(picture_size(str(path))) == sorted(shape)
    assert look_at(str(path))[:2] == ('', '')


def write(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    return str(path)


def test_pictures_that_look_the_same_are_the_same(tmp_path):
    """Two PNGs with other colours under a transparent half."""
    first, second = colours(channels=4), colours(channels=4)
    first[:15, :, 3], second[:15, :, 3] = 0, 0
    first[15:, :, 3], second[15:, :, 3] = 255, 255
    second[:15, :, :3] = 7
    images = [
        decode(write(tmp_path / f'{row}.png', saved(Image.fromarray(each), 'PNG')))
        for row, each in enumerate((first, second))
    ]
    assert np.array_equal(*images) and (images[0][:15] == 255).all()
    assert np.array_equal(images[0][15:], first[15:, :, 2::-1])


def test_transparency_is_logged_once(tmp_path, monkeypatch):
    logged: list[str] = []
    monkeypatch.setattr(decoding, '_said', set())
    monkeypatch.setattr(decoding, 'print_log', lambda text, **_: logged.append(text))
    opaque, half = colours(channels=4), colours(channels=4)
    opaque[..., 3], half[..., 3] = 255, 128
    for name, each in [('a', opaque), ('b', half), ('c', half)]:
        decode(write(tmp_path / f'{name}.png', saved(Image.fromarray(each), 'PNG')))
    assert len(logged) == 1 and 'b.png' in logged[0] and 'composited on white' in logged[0]


def test_the_error_of_a_depth_has_the_pixel_type(tmp_path):
    path = write(tmp_path / 'scan.png', png(4, 3, 16, bytes(3 * 25)))
    with pytest.raises(
        PictureError, match=r"scan\.png' has the pixel type 16-bit, 3 channels, .* Convert it to 8 bits"
    ):
        decode(path)


def test_the_limit_of_pixels_can_be_changed(tmp_path, monkeypatch):
    path = write(tmp_path / 'a.png', saved(Image.fromarray(colours()), 'PNG'))
    monkeypatch.setenv('LOOC_MM_MAX_PIXELS', str(44 * 30 - 1))
    with pytest.raises(PictureError, match=r'a\.png.*44 x 30 pixels, and at most 1,319'):
        decode(path)
    monkeypatch.setenv('LOOC_MM_MAX_PIXELS', str(44 * 30))
    assert decode(path).shape == (30, 44, 3)
    monkeypatch.setenv('LOOC_MM_MAX_PIXELS', str(10**10))
    with pytest.raises(PictureError, match='cannot be decoded'):  # by its content, not by Pillow's own limit
        decode(write(tmp_path / 'bomb.png', png(14_000, 14_000)))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file '.*gone\.jpg'"):
        decode(str(tmp_path / 'gone.jpg'))
    assert look_at(str(tmp_path / 'gone.jpg'))[0] == 'missing'


def test_a_narrow_picture_does_not_fill_the_memory():
    with pytest.raises(PictureError, match=r'narrow\.png.*16,776,960 x 256 pixels'):
        ResizeShortEdge(256)({'img': np.zeros((1, 65_535, 3), np.uint8), 'img_path': 'narrow.png'})


@pytest.fixture(scope='module')
def large(photographs) -> np.ndarray:
    """A photograph of 1200 x 1600 pixels, RGB."""
    return cv2.copyMakeBorder(photographs[0], 0, 1200 - 427, 0, 1600 - 640, cv2.BORDER_REFLECT)


@pytest.mark.parametrize('orientation', [1, 3, 6, 8])
@pytest.mark.parametrize('options', [{}, dict(progressive=True), dict(subsampling=0), dict(mode='L')])
def test_large_jpeg_is_decoded_smaller_and_looks_the_same(tmp_path, large, orientation, options):
    """At least 42 dB to the canvas from all pixels, upright, and the size is the original's."""
    options = dict(options)
    image = Image.fromarray(large).convert(options.pop('mode', 'RGB'))
    path = write(tmp_path / 'large.jpg', saved(image, 'JPEG', orientation, quality=90, **options))
    whole = cv2.imread(path)
    img, shape = decode_for(path, 256)
    assert img.shape[0] * 2 == whole.shape[0] and img.shape[1] * 2 == whole.shape[1]
    assert shape == whole.shape[:2]
    error = to_square(img, 256).astype(float) - to_square(whole, 256)
    assert 10 * np.log10(255**2 / np.square(error).mean()) > 42
    assert decode_for(path, 64)[0].shape[0] * 8 == whole.shape[0]
    assert picture_size(path) == (1200, 1600)


def test_what_cannot_be_scaled_exactly_is_decoded_whole(tmp_path, large):
    for name, picture in [('odd.jpg', large[:-1, :-1]), ('small.jpg', large[:510, :510]), ('other.png', large)]:
        path = str(tmp_path / name)
        cv2.imwrite(path, picture)
        img, shape = decode_for(path, 256)
        np.testing.assert_array_equal(img, cv2.imread(path))
        assert shape == img.shape[:2]


def test_jpeg_header(tmp_path, large):
    data = saved(Image.fromarray(large[:31, :57]), 'JPEG', comment=b'x' * 60_000)
    for each in (data, data[:2] + b'\xff' * 3 + data[2:]):
        path = write(tmp_path / 'a.jpg', each)
        assert picture_size(path) == (31, 57), 'a marker may be padded'
        assert decode(path).shape == (31, 57, 3)
    for wrong in (data[:2], data[:30], b'\xff\xd8\xff\xe0\0\0'):
        with pytest.raises(PictureError, match='within its header'):
            picture_size(write(tmp_path / 'a.jpg', wrong))
