import torch

from looc_mm.augmentations import HorizontalFlip


def test_mirrors_exactly(images):
    flip = torch.arange(len(images)) % 2 == 0
    out = HorizontalFlip().apply(images, {'flip': flip})
    assert (out[flip] - images[flip].flip(-1)).abs().max() * 255 < 0.01
    assert (out[~flip] - images[~flip]).abs().max() * 255 < 0.01


def test_probability(generator):
    share = HorizontalFlip(prob=0.3).sample(20_000, generator, (8, 8))['flip'].float().mean()
    assert abs(share - 0.3) < 0.01
