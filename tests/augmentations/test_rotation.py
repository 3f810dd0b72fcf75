import math

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


def test_the_vector_is_the_angle_and_identity_no_turn():
    rotation = RandomRightAngleRotation()
    vector = rotation.vector({'quarter_turns': torch.arange(4)})
    angles = [0, 90, 180, 270]
    expected = torch.tensor([[math.cos(math.radians(a)), math.sin(math.radians(a))] for a in angles])
    assert torch.allclose(vector, expected, atol=1e-6)
    assert torch.equal(rotation.identity(3)['quarter_turns'], torch.zeros(3, dtype=torch.int64))
