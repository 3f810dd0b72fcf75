"""Stain jitter for histology: more or less of each dye, as laboratories differ (Tellez et al., IEEE TMI 2018).

Light that passes a dyed slice follows Beer and Lambert: the optical density -log10(I) is the sum of what the dyes
absorb. So an image is taken apart into its dyes by one matrix (Ruifrok & Johnston 2001), and put together again by its
inverse.
"""

import torch
from torch import Tensor

from looc_mm.augmentations import AtomicAugmentation, Params
from looc_mm.augmentations.base import ImageSize, check_probability, coin, uniform
from looc_mm.registry import AUGMENTATIONS

DARKEST = 1 / 255  # light below one step of an 8 bit image has no density


def stain_matrix() -> Tensor:
    """(3, 3) float64: the colours, in density, of haematoxylin, eosin and what is left, as unit columns."""
    haematoxylin = torch.tensor([0.65, 0.70, 0.29], dtype=torch.float64)
    eosin = torch.tensor([0.07, 0.99, 0.11], dtype=torch.float64)
    stains = torch.stack([haematoxylin, eosin, torch.linalg.cross(haematoxylin, eosin)], 1)
    return stains / stains.norm(dim=0)


@AUGMENTATIONS.register_module()
class StainJitter(AtomicAugmentation):
    """Scale and shift the amount of haematoxylin, of eosin and of the residual, each by its own draw.

    Args:
        scale: Factors come from U(1 - scale, 1 + scale).
        shift: Offsets come from U(-shift, shift), in optical density.
        prob: Probability of the jitter.

    Raises:
        ValueError: If ``scale`` is not in [0, 1], ``shift`` is negative, or ``prob`` is not in [0, 1].
    """

    name = 'stain'

    def __init__(self, scale: float = 0.2, shift: float = 0.05, prob: float = 0.8) -> None:
        if not 0 <= scale <= 1 or shift < 0:
            raise ValueError(f'StainJitter got scale={scale}, shift={shift}; need 0 <= scale <= 1 and shift >= 0.')
        self.scale, self.shift = scale, shift
        self.prob = check_probability(self, prob)

    def sample(self, batch_size: int, generator: torch.Generator | None, image_size: ImageSize) -> Params:
        """Draw ``scale`` and ``shift``, (B, 3) each; 1 and 0 where the coin says no jitter."""
        scale = uniform((batch_size, 3), (1 - self.scale, 1 + self.scale), generator)
        shift = uniform((batch_size, 3), (-self.shift, self.shift), generator)
        jitter = coin(batch_size, self.prob, generator)[:, None]
        return {'scale': torch.where(jitter, scale, 1.0), 'shift': torch.where(jitter, shift, 0.0)}

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Density to stains, jitter, and back, as one matrix; see :meth:`AtomicAugmentation.apply`."""
        stains, scale, shift = stain_matrix(), params['scale'].double(), params['shift'].double()
        mixing = stains @ torch.diag_embed(scale) @ stains.inverse()  # B x 3 x 3
        offset = shift @ stains.T  # B x 3
        jittered = (scale != 1).any(1) | (shift != 0).any(1)

        density = -images.clamp_min(DARKEST).log10().flatten(2)  # B x 3 x HW
        density = torch.baddbmm(offset[..., None].to(images), mixing.to(images), density)
        out = (10**-density).clamp(0, 1).view_as(images)
        return torch.where(jittered.to(images.device)[:, None, None, None], out, images)
