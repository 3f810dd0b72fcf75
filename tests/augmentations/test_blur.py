import numpy as np
import torch
from PIL import Image, ImageFilter

from looc_mm.augmentations import GaussianBlur


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
