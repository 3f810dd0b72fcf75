"""Pixels of any number of channels are those that were written, or one error names the file."""

import io
import re

import cv2
import numpy as np
import pytest
from PIL import Image

from looc_mm.datasets import ImageFolder
from looc_mm.datasets.channels import Channels, bgr_order
from looc_mm.datasets.decoding import PictureError, decode, decode_for
from looc_mm.datasets.transforms import LoadCanvas, LoadImageFromFile, PackCanvas, ResizeShortEdge, resize, to_square
from tests.datasets.pixels import bands, tiff

WHOLE = (-3000.0, 3000.0)  # a window with all values of ``bands`` in it


def decoded(path, content: bytes, channels: int, window=WHOLE) -> np.ndarray:
    """(H, W, C) values in the order of the file, without the window."""
    path.write_bytes(content)
    img = decode(str(path), Channels(channels, window))
    low, high = window
    return img[..., bgr_order(channels)].astype(float) * (high - low) + low


@pytest.mark.parametrize('channels', [1, 2, 4, 12])
@pytest.mark.parametrize(
    'options',
    [
        {},
        dict(order='>'),
        dict(apart=True),
        dict(block=(16, 32)),
        dict(block=(32, 16), apart=True, order='>'),
        dict(deflate=True),
    ],
    ids=str,
)
@pytest.mark.parametrize('type_', ['u1', 'u2', 'i2', 'u4', 'f4', 'f8'])
def test_a_tiff_has_the_pixels_that_were_written(tmp_path, channels, options, type_):
    pixels = bands(channels, type_)
    found = decoded(tmp_path / 'a.tif', tiff(pixels, **options), channels)
    np.testing.assert_allclose(found, pixels, atol=1e-3)


@pytest.mark.parametrize('compression', ['LZW', 'ADOBE_DEFLATE', 'PACKBITS'])
@pytest.mark.parametrize('predictor', [1, 2])
@pytest.mark.parametrize('type_', ['u1', 'u2', 'f4'])
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_compressed_tiffs_of_opencv(tmp_path, compression, predictor, type_, channels):
    pixels, path = bands(channels, type_), tmp_path / 'a.tif'
    predictor = 3 if type_ == 'f4' and predictor == 2 else predictor
    flags = [cv2.IMWRITE_TIFF_COMPRESSION, getattr(cv2, f'IMWRITE_TIFF_COMPRESSION_{compression}')]
    flags += [cv2.IMWRITE_TIFF_PREDICTOR, predictor]
    cv2.imwrite(
        str(path), np.ascontiguousarray(pixels[..., [2, 1, 0, 3][:channels]] if channels > 2 else pixels), flags
    )
    np.testing.assert_allclose(decoded(path, path.read_bytes(), channels), pixels, atol=1e-3)


@pytest.mark.parametrize('compression', ['zstd', 'lzma', 'packbits', 'tiff_lzw', 'tiff_adobe_deflate'])
def test_compressed_tiffs_of_pillow(tmp_path, compression):
    pixels, path = bands(1), tmp_path / 'a.tif'
    Image.fromarray(pixels[..., 0]).save(path, compression=compression)
    np.testing.assert_allclose(decoded(path, path.read_bytes(), 1), pixels, atol=1e-3)


def test_a_damaged_tiff_is_named(tmp_path):
    path, whole = tmp_path / 'a.tif', tiff(bands(5, 'u2'), deflate=True)
    for at in range(0, len(whole), 97):
        path.write_bytes(whole[:at] or b'II*\0')
        with pytest.raises(PictureError, match=rf'^{re.escape(repr(str(path)))}.*\({path.stat().st_size:,} bytes'):
            decode(str(path), Channels(5, WHOLE))


@pytest.mark.parametrize(
    ('tags', 'problem'),
    [
        (dict(t259=7), 'compressed by method 7'),
        (dict(t262=6), 'photometric interpretation is 6'),
        (dict(t317=9), 'predictor is 9'),
        (dict(t258=12), r'channels have \[12\] bits'),
    ],
)
def test_what_a_tiff_may_not_have(tmp_path, tags, problem):
    with pytest.raises(PictureError, match=f'a.tif.*{problem}.*save them as .npy or as a plain TIFF'):
        decoded(tmp_path / 'a.tif', tiff(bands(4, 'u2'), **tags), 4)


def test_a_tiff_that_claims_to_be_huge_is_refused(tmp_path):
    with pytest.raises(PictureError, match='has 2,000,000,000 x 45 pixels'):
        decoded(tmp_path / 'a.tif', tiff(bands(4), t256=2_000_000_000), 4)


@pytest.mark.parametrize('type_', ['u1', 'u2', 'i4', 'f2', 'f8', '>f4', '?'])
@pytest.mark.parametrize(
    ('channels', 'axes'), [(1, 'HW'), (1, 'HWC'), (1, 'CHW'), (4, 'HWC'), (12, 'HWC'), (12, 'CHW')]
)
def test_npy(tmp_path, type_, channels, axes):
    pixels, file = bands(channels, type_), io.BytesIO()
    np.save(file, {'HW': pixels[..., 0], 'HWC': pixels, 'CHW': pixels.transpose(2, 0, 1)}[axes])
    np.testing.assert_allclose(decoded(tmp_path / 'a.npy', file.getvalue(), channels), pixels, atol=1)


@pytest.mark.parametrize('array', [np.zeros(5), np.zeros((2, 3, 4, 5)), np.zeros((0, 4, 3)), np.zeros((4, 4), complex)])
def test_npy_that_is_no_picture(tmp_path, array):
    file = io.BytesIO()
    np.save(file, array)
    with pytest.raises(PictureError, match=f'a.npy.*{re.escape(str(array.shape))} of {array.dtype} is no picture'):
        decoded(tmp_path / 'a.npy', file.getvalue(), 3)
    np.save(tmp_path / 'b.npy', np.array([[{'a': 1}]]), allow_pickle=True)
    with pytest.raises(PictureError, match='b.npy.*Object arrays cannot be loaded'):
        decode(str(tmp_path / 'b.npy'), Channels(3))


@pytest.mark.parametrize('mode', ['L', 'RGB', 'RGBA', 'I;16'])
def test_png(tmp_path, mode):
    channels, type_ = {'L': (1, 'u1'), 'RGB': (3, 'u1'), 'RGBA': (4, 'u1'), 'I;16': (1, 'u2')}[mode]
    pixels, file = bands(channels, type_), io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(file, 'PNG')
    np.testing.assert_allclose(decoded(tmp_path / 'a.png', file.getvalue(), channels), pixels, atol=1e-3)


def test_16_bit_rgb_png(tmp_path):
    pixels = bands(3, 'u2')
    data = cv2.imencode('.png', np.ascontiguousarray(pixels[..., ::-1]))[1].tobytes()
    np.testing.assert_allclose(decoded(tmp_path / 'a.png', data, 3), pixels, atol=1e-3)


@pytest.mark.parametrize('mode', ['L', 'RGB'])
def test_a_jpeg_is_upright(tmp_path, mode):
    image = Image.fromarray(cv2.resize(bands(3, height=6, width=8), (64, 48))).convert(mode)
    exif = Image.Exif()
    exif[0x112] = 6
    image.save(tmp_path / 'a.jpg', exif=exif, quality=95, subsampling=0)
    expected = np.rot90(np.atleast_3d(np.asarray(Image.open(tmp_path / 'a.jpg'))), -1)
    img = decode(str(tmp_path / 'a.jpg'), Channels(expected.shape[2]))
    assert img.dtype == np.uint8 and img.shape == (64, 48, expected.shape[2])
    assert np.abs(img[..., bgr_order(img.shape[2])].astype(int) - expected).max() <= 3


def test_another_number_of_channels_names_file_count_and_setting(tmp_path):
    for name, content in {'a.tif': tiff(bands(5)), 'b.npy': None, 'c.png': None}.items():
        path = tmp_path / name
        if content:
            path.write_bytes(content)
        elif name == 'b.npy':
            np.save(path, bands(5))
        else:
            cv2.imwrite(str(path), bands(3))
        count = 3 if name == 'c.png' else 5
        message = (
            f'{name}. has {count} channels, and model.data_preprocessor.in_channels=4 is set. Set in_channels={count}'
        )
        with pytest.raises(PictureError, match=message):
            decode(str(path), Channels(4))


def test_more_than_8_bits_need_a_window(tmp_path):
    np.save(tmp_path / 'a.npy', bands(4, 'u2'))
    with pytest.raises(PictureError, match=r'a.npy.*uint16, and neither bit_depth nor window.*bit_depth, such as 16'):
        decode(str(tmp_path / 'a.npy'), Channels(4))


def test_other_files_are_named(tmp_path):
    for name, content, problem in [
        ('a.tif', b'', 'is empty'),
        ('b.tif', b'<html>', 'is not a picture of a format that is read'),
        ('c.jpg', b'\xff\xd8\xff', 'was cut short within its header'),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PictureError, match=f'{name}.*{problem}'):
            decode(str(tmp_path / name), Channels(4))
    with pytest.raises(FileNotFoundError, match='no file'):
        decode(str(tmp_path / 'none.tif'), Channels(4))


def test_a_window_is_linear_and_clips(tmp_path):
    values = np.array([[[-np.inf, np.nan], [5, 5], [10, 10], [12.5, 12.5], [30, np.inf]]])
    np.save(tmp_path / 'a.npy', values)
    one = decode(str(tmp_path / 'a.npy'), Channels.of(2, window=(10, 20)))
    np.testing.assert_allclose(one, [[[0, 0], [0, 0], [0, 0], [0.25, 0.25], [1, 1]]])
    each = decode(str(tmp_path / 'a.npy'), Channels.of(2, window=[(0, 50), (5, 15)]))
    np.testing.assert_allclose(each, [[[0, 0], [0.1, 0], [0.2, 0.5], [0.25, 0.75], [0.6, 1]]], rtol=1e-6)
    assert one.dtype == each.dtype == np.float32


def test_bit_depth_is_a_window():
    assert Channels.of(4, bit_depth=12) == Channels(4, (0, 4095)) == Channels.of(4, window=[0, 4095])
    assert Channels.of() is None and Channels.of(1) == Channels(1)
    assert Channels.of(**Channels(2, ((0, 1), (2, 3))).settings()) == Channels(2, ((0, 1), (2, 3)))


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        (dict(in_channels=0), r'in_channels=0; allowed is a number of channels'),
        (dict(in_channels=2.0), r'in_channels=2.0'),
        (dict(bit_depth=16), r'bit_depth=16 and window=None; they need in_channels'),
        (dict(in_channels=1, bit_depth=0), r'bit_depth=0; allowed are 1 to 32'),
        (dict(in_channels=1, bit_depth=8, window=(0, 1)), r'give one of them'),
        (dict(in_channels=3, window=(1, 1)), r'window=\(1, 1\); allowed is \(low, high\)'),
        (dict(in_channels=3, window=(0, float('nan'))), r'window=\(0, nan\)'),
        (dict(in_channels=3, window=[(0, 1), (0, 1)]), r'or 3 such pairs'),
        (dict(in_channels=3, window=[(0, 1), (0, 1), 5]), r'or 3 such pairs'),
        (dict(in_channels=3, window='wide'), r"window='wide'"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Channels.of(**settings)
    with pytest.raises(ValueError, match=message):
        LoadCanvas(**settings)


@pytest.mark.parametrize('channels', [1, 2, 4, 12])
@pytest.mark.parametrize('type_', ['u1', 'f4'])
def test_resizing_treats_each_channel_by_itself(channels, type_):
    pixels = bands(channels, type_, 90, 70)
    planes = [resize(np.repeat(pixels[..., k : k + 1], 3, 2), 30, 20)[..., 0] for k in range(channels)]
    assert np.array_equal(resize(pixels, 30, 20), np.stack(planes, 2))
    assert to_square(pixels, 16, antialias=False).shape == (16, 16, channels)


@pytest.mark.parametrize('channels', [1, 3, 4, 12])
def test_a_sample_has_the_channels_in_the_order_of_the_file(tmp_path, channels):
    pixels = np.broadcast_to(np.arange(1, channels + 1), (40, 60, channels)).astype(np.float32)
    (tmp_path / 'a.tiff').write_bytes(tiff(pixels))
    np.save(tmp_path / 'b.npy', pixels)
    (tmp_path / 'notes.txt').write_text('no picture')
    settings = dict(in_channels=channels, window=(0, 16))
    for steps in (
        [LoadCanvas(size=32, **settings), PackCanvas()],
        [LoadImageFromFile(**settings), ResizeShortEdge(32), PackCanvas()],
    ):
        dataset = ImageFolder(str(tmp_path), pipeline=steps)
        assert len(dataset) == 2 and f'count={channels}' in repr(steps[0])
        for sample in dataset:
            assert sample['inputs'].shape[0] == channels and sample['inputs'].shape[1] == 32
            np.testing.assert_allclose(sample['inputs'].mean((1, 2)), np.arange(1, channels + 1) / 16, rtol=1e-5)
            assert sample['image_size'].tolist() == [40, 60]
    assert len(ImageFolder(str(tmp_path))) == 1, 'an .npy file is a picture only where channels are described'
    assert decode_for(str(tmp_path / 'b.npy'), 32, Channels.of(**settings))[1] == (40, 60)
