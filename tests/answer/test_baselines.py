"""The colour histogram and HOG against loops over the pixels."""

import colorsys
import math

import cv2
import numpy as np
import pytest
import torch

from looc_mm.answer.baselines import HISTOGRAM, HOG, colour_histogram, describe, hog


def test_one_colour_is_one_bin():
    image = np.zeros((8, 8, 3), np.uint8)
    image[..., 1] = 255  # green: hue 1/3, full saturation and value
    (place,) = colour_histogram(image).nonzero()
    assert place.tolist() == [(int(16 / 3) * 4 + 3) * 4 + 3]
    image[:4] = (255, 0, 0)
    assert sorted(colour_histogram(image)[colour_histogram(image) > 0]) == pytest.approx([0.5**0.5] * 2)


def test_histogram_by_a_loop(photographs):
    image = photographs[0][:40, :40]
    counts = np.zeros(256)
    for red, green, blue in image.reshape(-1, 3) / 255:
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        bins = [
            min(int(each * number), number - 1)
            for each, number in zip((hue, saturation, value), (16, 4, 4), strict=True)
        ]
        counts[(bins[0] * 4 + bins[1]) * 4 + bins[2]] += 1
    difference = np.abs(colour_histogram(image) ** 2 - counts / counts.sum()).sum()
    assert difference < 0.06  # OpenCV rounds hue and saturation to 8 bits


def test_hog_by_a_loop(images):
    noise = 0.01 * torch.rand(1, 3, 112, 112, generator=torch.Generator().manual_seed(0))
    image = images[:1, :, :112, :112] + noise  # no gradient is exactly on the border of two bins
    got = hog(image).reshape(3, 9, 7, 7)
    assert hog(images[:3, :, :112, :112]).shape == (3, 1323)
    padded = np.pad(image[0].double().numpy(), ((0, 0), (1, 1), (1, 1)), mode='reflect')
    cells = np.zeros((9, 14, 14))
    for row in range(112):
        for column in range(112):
            around = padded[1, row : row + 3, column : column + 3]
            across = (around[:, 0] - around[:, 2]) @ (1, 2, 1)
            down = (around[0] - around[2]) @ (1, 2, 1)
            angle = math.atan2(across, down) / math.pi * 9
            cells[math.floor(angle) % 9, row // 8, column // 8] += math.hypot(across, down)
    cells /= np.linalg.norm(cells, axis=0)
    expected = cells.reshape(9, 7, 2, 7, 2).mean((2, 4))
    assert np.abs(got[1].numpy() - expected).mean() < 1e-3
    assert expected.std() > 0.05


def test_files_in_order_and_a_broken_one_is_named(tmp_path, photographs):
    paths = [str(tmp_path / f'{index}.png') for index in range(3)]
    for index, path in enumerate(paths):
        cv2.imwrite(path, photographs[index % 2][: 150 + 10 * index, :160, ::-1])
    found, alone = describe(paths, batch_size=2, threads=2), describe(paths[2:])
    for name, width in ((HISTOGRAM, 256), (HOG, 1323)):
        assert found[name].shape == (3, width) and torch.allclose(found[name][2:], alone[name], atol=1e-6)
    (tmp_path / '1.png').write_bytes(b'no picture')
    with pytest.raises(ValueError, match=r'1\.png.* is not a picture'):
        describe(paths)
