"""Rotation by right angles; fused with its geometric neighbours."""

import warnings

import torch
from torch import Tensor

from looc_mm.registry import AUGMENTATIONS

from .base import GeometricAugmentation, ImageSize, Params, check_probability, coin, size_per_image


@AUGMENTATIONS.register_module()
class RandomRightAngleRotation(GeometricAugmentation):
    """Turn the image by 90, 180 or 270 degrees (section 4), exactly, without interpolation.

    It turns the square that it is given, so it must come after the crop in the list; elsewhere it warns.

    Args:
        prob: Probability of a turn (appendix A: 0.5); its angle is one of the three with equal chance.

    Raises:
        ValueError: If ``prob`` is not in [0, 1].
    """

    name = 'rotation'
    classes = 4

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = check_probability(self, prob)

    def sample(self, batch_size: int, generator: torch.Generator | None, image_size: ImageSize) -> Params:
        """Draw ``quarter_turns`` (B,) int64, counter-clockwise; 0 where the coin says no turn."""
        sizes = size_per_image(image_size, batch_size)
        if (sizes[:, 0] != sizes[:, 1]).any():
            warnings.warn('RandomRightAngleRotation turns squares: put it behind RandomResizedCrop.', stacklevel=2)
        turns = torch.randint(1, 4, (batch_size,), generator=generator)
        return {'quarter_turns': turns * coin(batch_size, self.prob, generator)}

    def identity(self, batch_size: int) -> Params:
        """No turn; see :meth:`AtomicAugmentation.identity`."""
        return {'quarter_turns': torch.zeros(batch_size, dtype=torch.int64)}

    def vector(self, params: Params) -> Tensor:
        """(B, 2): cosine and sine of the angle."""
        return self.matrix(params)[:, :2, 0].float()

    def relation(self, params: Params, other: Params) -> Tensor:
        """(B,) int64: the quarter turns from the other view's angle to this one's, 0 to 3."""
        return (params['quarter_turns'] - other['quarter_turns']) % 4

    def words(self, params: Params) -> list[str]:
        """The angle, counter-clockwise: '90°'."""
        return [f'{90 * turns}°' if turns else '' for turns in params['quarter_turns'].tolist()]

    def matrix(self, params: Params) -> Tensor:
        """Exact sines and cosines, 0 and +-1; see :meth:`GeometricAugmentation.matrix`."""
        turns = params['quarter_turns']
        cos = torch.tensor([1.0, 0.0, -1.0, 0.0], dtype=torch.float64, device=turns.device)[turns]
        sin = torch.tensor([0.0, 1.0, 0.0, -1.0], dtype=torch.float64, device=turns.device)[turns]
        zero, one = torch.zeros_like(cos), torch.ones_like(cos)
        rows = [torch.stack(row, 1) for row in ([cos, -sin, zero], [sin, cos, zero], [zero, zero, one])]
        return torch.stack(rows, 1)
