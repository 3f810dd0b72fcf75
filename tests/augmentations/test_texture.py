import pytest
import torch
import torch.nn.functional as F

from looc_mm.augmentations import RandomConvTexture
from looc_mm.augmentations.texture import _radius


def test_against_one_convolution_at_a_time(images, generator):
    """Each image alone, its kernel cut to the size that was drawn, its statistics matched by hand."""
    texture = RandomConvTexture(prob=1, mixing=True)
    params = texture.sample(len(images), generator, (224, 224))
    out = texture.apply(images, params)
    for row, image in enumerate(images.double()):
        kernel, keep = params['kernel'][row].double(), params['keep'][row].double()
        side = int((kernel[0, 0] != 0).any(0).sum())
        assert side in (1, 3, 5, 7)
        margin = (7 - side) // 2
        cut = kernel[:, :, margin : 7 - margin, margin : 7 - margin]
        new = F.conv2d(F.pad(image[None], (side // 2,) * 4, mode='replicate'), cut)[0]
        for channel in range(3):
            scale = image[channel].std(correction=0) / new[channel].std(correction=0)
            new[channel] = (new[channel] - new[channel].mean()) * scale + image[channel].mean()
        expected = keep * image + (1 - keep) * new.clamp(0, 1)
        assert (out[row] - expected).abs().max() < 1e-4


def test_channel_statistics_are_kept(images, generator):
    """Up to what clipping takes: colour is not what changes."""
    dim = images * 0.3 + 0.35
    texture = RandomConvTexture(prob=1)
    out = texture.apply(dim, texture.sample(len(dim), generator, (224, 224)))
    assert (out.mean((2, 3)) - dim.mean((2, 3))).abs().max() < 0.01
    assert (out.std((2, 3)) / dim.std((2, 3)) - 1).abs().max() < 0.1
    assert (out - dim).abs().mean() > 0.03, 'yet the pictures do change'


def test_draws(generator):
    params = RandomConvTexture(mixing=True).sample(4000, generator, (8, 8))
    chosen = params['keep'] < 1
    assert abs(chosen.float().mean() - 0.5) < 0.03
    assert (params['kernel'][~chosen] == 0).all()
    kernel = params['kernel'][chosen]
    side = (kernel[:, 0, 0] != 0).any(1).sum(-1)
    assert torch.allclose(torch.bincount(side, minlength=8)[[1, 3, 5, 7]] / len(side), torch.tensor(0.25), atol=0.03)
    for size in (1, 3, 5, 7):  # He-normal: the kernel's squared norm per output channel is 1 in the mean
        assert abs(kernel[side == size].square().sum((2, 3, 4)).mean() - 1) < 0.1
    assert abs(params['keep'][chosen].mean() - 0.5) < 0.03
    assert (RandomConvTexture(prob=1).sample(9, generator, (8, 8))['keep'] == 0).all()


def test_left_alone_is_untouched(images, generator):
    texture = RandomConvTexture()
    params = texture.sample(len(images), generator, (224, 224))
    alone = params['keep'] == 1
    out = texture.apply(images, params)
    assert alone.any() and not alone.all()
    assert torch.equal(out[alone], images[alone])


def test_the_middle_that_is_convolved_holds_all_of_a_kernel():
    kernel = torch.zeros(4, 3, 3, 7, 7)
    kernel[0, 2, 1, 3, 3] = 1
    kernel[1, 0, 2, 4, 3] = 1
    kernel[2, 1, 1, 2, 1] = -1
    kernel[3, 2, 2, 6, 3] = 1
    assert _radius(kernel).tolist() == [0, 1, 2, 3]


def test_even_kernels_are_refused():
    with pytest.raises(ValueError, match=r'kernel_sizes=\(2,\).*odd'):
        RandomConvTexture(kernel_sizes=(2,))


def test_identity_is_what_the_coin_leaves_alone(generator, images):
    texture = RandomConvTexture(prob=0)
    drawn, identity = texture.sample(8, generator, (224, 224)), texture.identity(8)
    assert all(torch.equal(drawn[key], identity[key]) for key in identity)
    assert torch.equal(texture.apply(images, identity), images)
