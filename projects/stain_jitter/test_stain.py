"""The contract, and closed forms: a slice of known dyes is recoloured as Beer and Lambert say."""

import pytest
import torch
from looc_mm_stain import StainJitter, stain_matrix

from looc_mm.testing import check_augmentation, colourful


def test_contract():
    """The rules that every augmentation keeps."""
    check_augmentation(StainJitter())


def test_the_colours_of_the_dyes():
    """Each a unit vector; the residual is what neither dye absorbs."""
    stains = stain_matrix()
    overlap = stains.T @ stains
    assert torch.allclose(overlap.diagonal(), torch.ones(3, dtype=torch.float64))
    assert overlap[2, :2].abs().max() < 1e-12


def test_no_jitter_is_the_identity():
    """Bit by bit, black included."""
    images = colourful()
    assert torch.equal(StainJitter(prob=0).apply(images, StainJitter(prob=0).sample(8, None, (64, 64))), images)


@pytest.mark.parametrize('dye', [0, 1])
def test_more_of_one_dye(dye):
    """Amounts a of the dyes become scale * a + shift, so I = 10 ** -(stains @ amounts)."""
    amounts = torch.tensor([0.3, 0.4, 0.1], dtype=torch.float64)
    scale, shift = torch.ones(3), torch.zeros(3)
    scale[dye], shift[dye] = 1.5, 0.05
    before, after = (
        10 ** -(stain_matrix() @ a).float()[None, :, None, None] for a in (amounts, scale * amounts + shift)
    )
    out = StainJitter().apply(before.expand(1, 3, 4, 4), {'scale': scale[None], 'shift': shift[None]})
    assert torch.allclose(out, after.expand(1, 3, 4, 4), atol=1e-6)


@pytest.mark.parametrize('settings', [dict(scale=1.5), dict(shift=-0.1), dict(prob=2)])
def test_settings_out_of_range_are_refused(settings):
    """The message names the type."""
    with pytest.raises(ValueError, match='StainJitter'):
        StainJitter(**settings)
