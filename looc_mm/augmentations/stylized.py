"""Texture randomization by pictures that were stylised beforehand: the augmentation only chooses."""

import torch
import torch.nn.functional as F
from torch import Tensor

from looc_mm.registry import AUGMENTATIONS

from .base import AtomicAugmentation, ImageSize, Params, check_probability, coin


@AUGMENTATIONS.register_module()
class StylizedTexture(AtomicAugmentation):
    """Replace the image by one of its candidates, K stylised versions that the batch brings.

    The paper randomizes texture by stylized images (section 4; Geirhos et al., 2019) and does not say how; here K
    versions are made once by ``tools/stylize.py``, or are Stylized-ImageNet's, and ``LoadStylized`` loads them. Put it
    first in the list: behind a crop there would be K + 1 images to crop.

    With ``prob=0.5``, k_0 has the query's texture by chance with probability 0.25 + 0.25 / K, as a false negative of
    its space. So take K >= 4.

    Args:
        styles: K, the candidates of an image.
        prob: Probability of one of them instead of the original (appendix A: 0.5).

    Raises:
        ValueError: If ``styles`` is below 1 or ``prob`` not in [0, 1].
    """

    name = 'texture'

    def __init__(self, styles: int = 4, prob: float = 0.5) -> None:
        if styles < 1:
            raise ValueError(f'StylizedTexture got styles={styles}; it needs at least 1 stylised version to choose.')
        self.styles = styles
        self.prob = check_probability(self, prob)

    def sample(self, batch_size: int, generator: torch.Generator | None, image_size: ImageSize) -> Params:
        """Draw ``choice`` (B,) int64: 0 is the original, 1 .. K the stylised version."""
        chosen = coin(batch_size, self.prob, generator)
        return {'choice': torch.randint(1, 1 + self.styles, (batch_size,), generator=generator) * chosen}

    def identity(self, batch_size: int) -> Params:
        """The original; see :meth:`AtomicAugmentation.identity`."""
        return {'choice': torch.zeros(batch_size, dtype=torch.int64)}

    def vector(self, params: Params) -> Tensor:
        """(B, K): which version it is, one-hot, for it is a category; zeros for the original."""
        return F.one_hot(params['choice'], 1 + self.styles)[:, 1:].float()

    def words(self, params: Params) -> list[str]:
        """The number of the stylised version: 'style 3'."""
        return [f'style {choice}' if choice else '' for choice in params['choice'].tolist()]

    def apply(self, images: Tensor, params: Params, candidates: Tensor | None = None) -> Tensor:
        """Choose between the image and its candidates; see :meth:`AtomicAugmentation.apply`.

        Args:
            images: (B, 3, H, W), uint8 or float: the originals.
            params: What :meth:`sample` gave.
            candidates: (B, K, 3, H, W) of the same dtype: their stylised versions; those beyond K are not read.

        Returns:
            (B, 3, H, W) of the same dtype.

        Raises:
            ValueError: If there are fewer than K candidates.
        """
        given = 0 if candidates is None else candidates.shape[1]
        if candidates is None or given < self.styles:
            raise ValueError(
                f'StylizedTexture(styles={self.styles}) got {given} candidates, the stylised versions of each image. '
                f'Put LoadStylized(styles={self.styles}) between LoadCanvas and PackCanvas, and make the views on the '
                'device.'
            )
        choice = params['choice'].to(images.device, non_blocking=True)
        chosen = candidates[torch.arange(len(images), device=images.device), (choice - 1).clamp(min=0)]
        return torch.where((choice > 0)[:, None, None, None], chosen, images)
