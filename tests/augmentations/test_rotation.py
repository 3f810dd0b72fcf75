import numpy as np
import torch
from PIL import Image

from looc_mm.augmentations import RandomRightAngleRotation


def test_turns_exactly_as_pil(images):
    turns = torch.arange(len(images)) % 4
    out = RandomRightAngleRotation().apply(images, {'quarter_turns': turns})
    for view, image, turn in zip(out, images, turns.tolist(), strict=True):
        pil = Image.fromarray((image * 255).byte().permute(1, 2, 0).numpy()).rotate(90 * turn)
        reference = torch.from_numpy(np.asarray(pil).copy()).permute(2, 0, 1)
        assert (view * 255 - reference).abs().max() < 0.01


def test_angles(generator):
    turns = RandomRightAngleRotation(prob=0.5).sample(30_000, generator, (8, 8))['quarter_turns']
    shares = torch.bincount(turns, minlength=4) / len(turns)
    assert torch.allclose(shares, torch.tensor([1 / 2, 1 / 6, 1 / 6, 1 / 6]), atol=0.01)
