import itertools
import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from looc_mm.augmentations import GaussianBlur, base


def test_against_pil(images):
    """The MoCo recipe blurs with PIL: at least 44 dB for each width and 47.7 in the mean.

    PIL approximates the Gaussian by three boxes, coarsely below half a pixel, where both hardly blur.
    """
    decibels = []
    for sigma in (0.5, 0.7, 1.0, 1.5, 2.0):
        out = GaussianBlur().apply(images, {'sigma': torch.full((len(images),), sigma)})
        for view, image in zip(out, images, strict=True):
            pil = Image.fromarray((image * 255).byte().permute(1, 2, 0).numpy()).filter(ImageFilter.GaussianBlur(sigma))
            reference = torch.from_numpy(np.asarray(pil).copy()).permute(2, 0, 1).float() / 255
            decibels.append(-10 * torch.log10((view - reference).square().mean()))
    assert min(decibels) > 44
    assert torch.stack(decibels).mean() > 47.7


def test_against_explicit_sum(images):
    """One pixel by the definition of a Gaussian mean."""
    sigma = 1.3
    out = GaussianBlur().apply(images[:1], {'sigma': torch.tensor([sigma])})[0]
    offsets = torch.arange(-6, 7).double()
    weight = torch.exp(-0.5 * (offsets[:, None] ** 2 + offsets**2) / sigma**2)
    window = images[0, :, 100 - 6 : 100 + 7, 50 - 6 : 50 + 7].double()
    assert torch.allclose((window * weight).sum((1, 2)) / weight.sum(), out[:, 100, 50].double(), atol=1e-6)


def test_every_pixel_against_a_loop(fused_on_cpu):
    """The definition with edge pixels repeated, on both ways to it, which agree to 1e-6."""
    images = torch.rand(3, 3, 7, 9, generator=torch.Generator().manual_seed(0))
    blur, sigma = GaussianBlur(sigma=(0.1, 1.4)), torch.tensor([0.1, 0.7, 1.4])
    radius = 5  # three deviations of the widest
    expected = torch.zeros(images.shape, dtype=torch.float64)
    for row, (image, width) in enumerate(zip(images.double(), sigma.tolist(), strict=True)):
        weights = [math.exp(-0.5 * (offset / width) ** 2) for offset in range(-radius, radius + 1)]
        for y, x in itertools.product(range(7), range(9)):
            for dy, dx in itertools.product(range(-radius, radius + 1), repeat=2):
                pixel = image[:, min(max(y + dy, 0), 6), min(max(x + dx, 0), 8)]
                expected[row, :, y, x] += weights[dy + radius] * weights[dx + radius] * pixel / sum(weights) ** 2
    on_cpu = blur.apply(images, {'sigma': sigma})
    assert (on_cpu - expected).abs().max() < 1e-6
    fused_on_cpu('eager')
    on_gpu = blur.apply(images, {'sigma': sigma})
    assert len(base._compiled) == 2 and not base._failures
    assert (on_gpu - expected).abs().max() < 1e-6
    assert (on_gpu - on_cpu).abs().max() < 1e-6


@pytest.mark.parametrize('narrow', [1e-6, 1e-3])
def test_a_very_narrow_kernel_leaves_alone(fused_on_cpu, images, narrow):
    sigma = torch.full((len(images),), narrow)
    assert torch.equal(GaussianBlur(sigma=(1e-6, 2)).apply(images, {'sigma': sigma}), images)
    fused_on_cpu('eager')
    assert torch.equal(GaussianBlur(sigma=(1e-6, 2)).apply(images, {'sigma': sigma}), images)


def test_unblurred_is_untouched_and_probability_holds(images, generator):
    sigma = GaussianBlur(prob=0.5, sigma=(0.1, 2)).sample(20_000, generator, (8, 8))['sigma']
    assert abs((sigma == 0).float().mean() - 0.5) < 0.01
    drawn = sigma[sigma > 0]
    assert 0.1 <= drawn.min() < 0.11 and 1.99 < drawn.max() <= 2 and abs(drawn.mean() - 1.05) < 0.02
    half = torch.tensor([0.0, 1.0]).repeat(4)
    out = GaussianBlur().apply(images, {'sigma': half})
    assert torch.equal(out[::2], images[::2]) and not torch.equal(out[1::2], images[1::2])


def test_image_smaller_than_the_kernel():
    assert GaussianBlur().apply(torch.rand(1, 3, 4, 4), {'sigma': torch.tensor([2.0])}).shape == (1, 3, 4, 4)
