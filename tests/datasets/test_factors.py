import colorsys
from itertools import product

import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate
from torch.utils.data import DataLoader

from looc_mm.datasets import Factors
from looc_mm.datasets.factors import COLORS, SHAPES, TEXTURES, draw, draw_mask, draw_texture
from looc_mm.registry import DATASETS

FACTORS = ('shape', 'color', 'texture')
PIPELINE = [{'type': 'LoadCanvas', 'size': 64}, {'type': 'PackCanvas', 'label_keys': FACTORS}]


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return np.minimum(a, b).sum() / np.maximum(a, b).sum()


def test_sample():
    dataset = DATASETS.build({'type': 'Factors', 'length': 5, 'size': 48})
    info = dataset.get_data_info(2)
    assert len(dataset) == 5
    assert info['img'].shape == (48, 48, 3) and info['img'].dtype == np.uint8
    assert {factor: dataset.metainfo[factor] for factor in FACTORS} == {
        'shape': tuple(SHAPES),
        'color': tuple(COLORS),
        'texture': TEXTURES,
    }


def test_pictures_are_a_function_of_seed_split_and_index():
    reference = Factors(20, seed=1)[7]
    again = Factors(8, seed=1)[7]
    np.testing.assert_array_equal(reference['img'], again['img'])
    assert all(reference[factor] == again[factor] for factor in FACTORS)
    for other in (Factors(20, seed=1)[8], Factors(20, seed=2)[7], Factors(20, seed=1, split='test')[7]):
        assert (reference['img'] != other['img']).mean() > 0.5


def test_subset_keeps_its_pictures():
    dataset = Factors(20)
    np.testing.assert_array_equal(Factors(20, indices=[5, 9])[1]['img'], dataset[9]['img'])
    np.testing.assert_array_equal(dataset[-1]['img'], dataset[19]['img'])


def test_workers_give_the_same_bits():
    dataset = Factors(12, pipeline=PIPELINE)
    here, there = (DataLoader(dataset, batch_size=6, num_workers=n, collate_fn=default_collate) for n in (0, 2))
    for a, b in zip(here, there, strict=True):
        assert a['inputs'].shape == (6, 3, 64, 64)
        assert torch.equal(a['inputs'], b['inputs'])
        assert a['labels'].keys() == set(FACTORS)
        assert all(torch.equal(a['labels'][factor], b['labels'][factor]) for factor in FACTORS)


def test_factors_are_uniform_and_independent():
    infos = [Factors.get_data_info(dataset, i) for dataset in [Factors(3000, size=32)] for i in range(3000)]
    for first, second in [('shape', 'color'), ('shape', 'texture'), ('color', 'texture')]:
        counts = np.zeros((len(Factors.METAINFO[first]), len(Factors.METAINFO[second])))
        np.add.at(counts, ([info[first] for info in infos], [info[second] for info in infos]), 1)
        expected = counts.sum() / counts.size
        freedom = counts.size - 1
        chi_square = ((counts - expected) ** 2 / expected).sum()
        assert abs(chi_square - freedom) < 4 * np.sqrt(2 * freedom)  # 4 standard deviations


@pytest.mark.parametrize('upright', range(len(SHAPES)))
def test_no_turned_shape_looks_like_an_upright_one(upright):
    reference = draw_mask(upright, 64)
    for other, tilt, turn, mirrored in product(range(len(SHAPES)), (-10, 0, 10), (1, 2, 3), (False, True)):
        mask = np.rot90(draw_mask(other, 64, tilt=np.deg2rad(tilt)), turn)
        assert iou(reference, mask[:, ::-1] if mirrored else mask) < 0.8, (other, tilt, turn, mirrored)


def test_upright_shapes_differ_from_each_other():
    masks = [draw_mask(shape, 64) for shape in range(len(SHAPES))]
    assert all(iou(a, b) < 0.8 for i, a in enumerate(masks) for b in masks[:i])


@pytest.mark.parametrize('shape', range(len(SHAPES)))
@pytest.mark.parametrize('position', [(0, 0), (1, 1), (0.3, 0.8)])
def test_mask_is_anti_aliased_of_the_scale_asked_for_and_inside(shape, position):
    mask = draw_mask(shape, 64, scale=0.5, tilt=0.15, position=position)
    y, x = np.nonzero(mask > 0.1)
    assert abs(max(np.ptp(x), np.ptp(y)) + 1 - 32) <= 2
    assert ((mask > 0.1) & (mask < 0.9)).any()
    if position in [(0, 0), (1, 1)]:  # a side touches the border, and a shape that was cut off would be smaller
        assert np.isclose(mask.sum(), draw_mask(shape, 64, scale=0.5, tilt=0.15).sum(), rtol=0.03)
        assert (min(x.min(), y.min()) if position == (0, 0) else 63 - max(x.max(), y.max())) <= 1


@pytest.mark.parametrize('texture', range(len(TEXTURES)))
def test_textures_show_at_64_pixels_and_prefer_no_axis(texture):
    shades = np.stack([draw_texture(np.random.default_rng(i), 64, texture, tilt=0) for i in range(200)])
    assert shades.min() >= 0 and shades.max() <= 1
    if TEXTURES[texture] == 'solid':
        assert (shades == 0).all()
        return
    assert shades.std((1, 2)).min() > 0.3
    across, down = np.abs(np.diff(shades, axis=2)).mean(), np.abs(np.diff(shades, axis=1)).mean()
    assert abs(across / down - 1) < 0.1


@pytest.mark.parametrize('color', range(len(COLORS)))
def test_named_color_is_the_one_painted(color):
    hues = list(COLORS.values())
    blob = list(SHAPES).index('heart')
    for seed in range(20):
        img = draw(np.random.default_rng(seed), 64, blob, color, texture=0)
        most_saturated = img.reshape(-1, 3)[np.ptp(img.astype(int), axis=2).argsort(axis=None)[-200:]].mean(0)
        hue = 360 * colorsys.rgb_to_hsv(*most_saturated[::-1] / 255)[0]
        assert np.argmin([abs((hue - other + 180) % 360 - 180) for other in hues]) == color


def test_pictures_of_the_same_factors_differ():
    pictures = [draw(np.random.default_rng(i), 64, 0, 0, 0).astype(float) for i in range(10)]
    assert all(np.abs(a - b).mean() > 10 for i, a in enumerate(pictures) for b in pictures[:i])


@pytest.mark.parametrize('wrong', [{'split': 'val'}, {'length': 0}, {'size': 8}, {'seed': -1}])
def test_arguments_are_checked(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f'{name}={value!r}'):
        Factors(**{'length': 4, **wrong})
