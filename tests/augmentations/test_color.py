import colorsys
import itertools

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as TF
from PIL import Image

from looc_mm.augmentations import ColorJitter
from looc_mm.augmentations.color import shift_hue


def neutral(batch: int) -> dict[str, torch.Tensor]:
    return {
        'factors': torch.ones(batch, 3),
        'hue': torch.zeros(batch),
        'order': torch.arange(4).expand(batch, 4),
        'gray': torch.zeros(batch, dtype=torch.bool),
    }


def recipe(image: torch.Tensor, params: dict[str, torch.Tensor]) -> torch.Tensor:
    """The MoCo recipe on PIL images, step by step, (3, H, W) in 0 .. 255."""
    pil = Image.fromarray((image * 255).byte().permute(1, 2, 0).numpy())
    steps = [TF.adjust_brightness, TF.adjust_contrast, TF.adjust_saturation, TF.adjust_hue]
    for step in params['order'].tolist():
        pil = steps[step](pil, [*params['factors'].tolist(), float(params['hue'])][step])
    if params['gray']:
        pil = TF.rgb_to_grayscale(pil, 3)
    return torch.from_numpy(np.asarray(pil).copy()).permute(2, 0, 1).float()


def test_hue_against_colorsys():
    """Every pixel by the standard library's HSV."""
    pixels = torch.rand(1, 3, 8, 8, dtype=torch.float64)
    pixels[0, :, 0, 0] = 0.5  # a gray one
    pixels[0, :, 0, 1] = torch.tensor([0.7, 0.7, 0.2])  # two largest
    for turn in (-0.1, 0.03, 0.5):
        out = shift_hue(pixels, torch.tensor([turn], dtype=torch.float64))
        for row, column in itertools.product(range(8), range(8)):
            hue, saturation, value = colorsys.rgb_to_hsv(*pixels[0, :, row, column].tolist())
            expected = colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)
            assert torch.allclose(out[0, :, row, column], torch.tensor(expected, dtype=torch.float64), atol=1e-6)


def test_hue_against_torchvision(images):
    error = []
    for turn in (-0.1, -0.04, 0.07, 0.1):
        params = {**neutral(len(images)), 'hue': torch.full((len(images),), turn)}
        error.append((ColorJitter().apply(images, params) - TF.adjust_hue(images, turn)).abs().mean() * 255)
    assert max(error) <= 0.5


def test_jitter_without_hue_against_pil_in_every_order(images, generator):
    """Brightness, contrast and saturation as one matrix: a mean absolute error of at most 2 of 255."""
    error = []
    for order in itertools.permutations(range(3)):
        params = ColorJitter(hue=0, prob=1, gray_prob=0.2).sample(len(images), generator, (224, 224))
        params['order'] = torch.tensor([*order, 3]).expand(len(images), 4)
        out = ColorJitter().apply(images, params) * 255
        for row in range(len(images)):
            reference = recipe(images[row], {key: value[row] for key, value in params.items()})
            error.append((out[row] - reference).abs().mean())
    assert torch.stack(error).mean() <= 2


def test_whole_jitter_against_pil(images, generator):
    """Hue anywhere in the order: still at most 2 of 255 in the mean."""
    jitter = ColorJitter(prob=1)
    error = []
    for _ in range(4):
        params = jitter.sample(len(images), generator, (224, 224))
        out = jitter.apply(images, params) * 255
        for row in range(len(images)):
            reference = recipe(images[row], {key: value[row] for key, value in params.items()})
            error.append((out[row] - reference).abs().mean())
    assert torch.stack(error).mean() <= 2


def test_order_is_obeyed(images):
    """Where nothing clips, the one matrix is the steps one by one, exactly."""
    dim = images * 0.5 + 0.2
    for order in itertools.permutations(range(4)):
        params = {
            **neutral(8),
            'factors': torch.tensor([0.8, 0.6, 1.1]).expand(8, 3),
            'hue': torch.full((8,), 0.08),
            'order': torch.tensor(order).expand(8, 4),
        }
        expected = dim
        for step in order:
            if step == 0:
                expected = expected * 0.8
            elif step == 3:
                expected = shift_hue(expected, params['hue'])
            else:
                gray = (expected * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
                gray = gray.mean((2, 3), keepdim=True) if step == 1 else gray
                factor = (0.8, 0.6, 1.1)[step]
                expected = expected * factor + gray * (1 - factor)
        assert torch.allclose(ColorJitter().apply(dim, params), expected, atol=2e-6)


def test_grayscale(images):
    params = {**neutral(8), 'gray': torch.arange(8) % 2 == 0}
    out = ColorJitter().apply(images, params)
    assert (out[::2] - TF.rgb_to_grayscale(images[::2], 3)).abs().max() * 255 < 0.1
    assert torch.equal(out[1::2], images[1::2])


def test_draws(generator):
    params = ColorJitter().sample(30_000, generator, (8, 8))
    jittered = params['hue'] != 0
    assert abs(jittered.float().mean() - 0.8) < 0.01
    assert abs(params['gray'].float().mean() - 0.2) < 0.01
    assert abs((params['gray'] & jittered).float().mean() - 0.16) < 0.01, 'the two coins are independent'
    factors = params['factors'][jittered]
    assert 0.6 <= factors.min() < 0.605 and 1.395 < factors.max() <= 1.4
    assert torch.allclose(factors.mean(0), torch.ones(3), atol=0.01)
    assert abs(params['hue'].abs().max() - 0.1) < 0.001 and abs(params['hue'].mean()) < 0.001
    orders, counts = params['order'][jittered].unique(dim=0, return_counts=True)
    assert len(orders) == 24 and counts.min() > 0.85 * counts.float().mean()
    assert (params['factors'][~jittered] == 1).all() and (params['order'][~jittered] == torch.arange(4)).all()


def test_the_vector_has_no_order_and_identity_leaves_alone(generator, images):
    color = ColorJitter()
    params = color.sample(5, generator, (8, 8))
    vector = color.vector(params)
    for row in range(5):
        expected = [(float(factor) - 1) / 0.8 for factor in params['factors'][row]]
        expected += [float(params['hue'][row]) / 0.2, float(params['gray'][row])]
        assert vector[row].tolist() == pytest.approx(expected, abs=1e-6)
    other = color.sample(5, generator, (8, 8))
    assert torch.allclose(color.relation(params, other), (vector - color.vector(other))[:, :4])
    assert torch.equal(color.apply(images, color.identity(8)), images)
    unjittered = ColorJitter(prob=0, gray_prob=0).sample(8, generator, (8, 8))
    assert all(torch.equal(value, unjittered[key]) for key, value in color.identity(8).items())
