"""Horizontal flip; fused with its geometric neighbours."""

import torch
from torch import Tensor

from looc_mm.registry import AUGMENTATIONS

from .base import GeometricAugmentation, ImageSize, Params, check_probability, coin


@AUGMENTATIONS.register_module()
class HorizontalFlip(GeometricAugmentation):
    """Mirror left and right.

    Args:
        prob: Probability of a flip.

    Raises:
        ValueError: If ``prob`` is not in [0, 1].
    """

    name = 'flip'
    owns_space = False
    classes = 2

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = check_probability(self, prob)

    def sample(self, batch_size: int, generator: torch.Generator | None, image_size: ImageSize) -> Params:
        """Draw ``flip`` (B,) bool."""
        return {'flip': coin(batch_size, self.prob, generator)}

    def relation(self, params: Params, other: Params) -> Tensor:
        """(B,) int64: 1 where both views are mirrored or none is."""
        return (params['flip'] == other['flip']).long()

    def words(self, params: Params) -> list[str]:
        """'flip' where flipped."""
        return ['flip' if flip else '' for flip in params['flip'].tolist()]

    def matrix(self, params: Params) -> Tensor:
        """Negate x where flipped; see :meth:`GeometricAugmentation.matrix`."""
        flip = params['flip'].double()
        return torch.diag_embed(torch.stack([1 - 2 * flip, torch.ones_like(flip), torch.ones_like(flip)], 1))
