"""E-SSL (Dangovski et al., "Equivariant Contrastive Learning", 2022): MoCo, and the rotation of an image is predicted.

Shapes
    B  images of this process        C  width of V        h, w  a view
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from looc_mm.registry import MODELS
from looc_mm.views import ViewTable

from .multi_head_moco import MultiHeadMoCo
from .relative import mlp


@MODELS.register_module()
class ESSL(MultiHeadMoCo):
    """MoCo on upright views, and a classifier of the four rotations of q, turned by all of them and made smaller.

    Its pipeline holds no rotation: the rotated images are these, and no key is. The paper crops smaller rotated views
    anew; here they are q itself, shrunk, so that one view table serves both losses.

    Args:
        weight: Of the prediction's loss (the paper's lambda, 0.4).
        shrink: Factor by which the rotated copies are smaller than the view (the paper: 96 px of 224).
        predictor_channels: Width of the predictor's hidden layers.
        **kwargs: The other arguments of :class:`MultiHeadMoCo`.

    Raises:
        ValueError: As :class:`MultiHeadMoCo`; if the factor is not at least 1; at the first batch, if the views are
            not square.
    """

    def __init__(self, weight: float = 0.4, shrink: float = 2, predictor_channels: int = 2048, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if shrink < 1:
            raise ValueError(f'ESSL got shrink={shrink}; rotated copies are smaller than the view: at least 1.')
        self.predictor = mlp(kwargs['neck']['in_channels'], predictor_channels, 4)
        self.weight = weight
        self.shrink = shrink

    def loss(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: list | None = None,
        table: ViewTable | None = None,
    ) -> dict[str, Tensor]:
        """One step; see :meth:`MultiHead.loss`."""
        losses = super().loss(inputs, data_samples, table)
        height, width = inputs[0].shape[-2:]
        if height != width:
            raise ValueError(f'ESSL turns square views; these are {height} x {width}. Set the size of the crop.')
        small = F.interpolate(inputs[0], scale_factor=1 / self.shrink, mode='bilinear', antialias=True)
        turned = torch.cat([torch.rot90(small, turns, (-2, -1)) for turns in range(4)])  # 4B x 3 x h' x w'
        angles = torch.arange(4, device=turned.device).repeat_interleave(len(small))
        predicted = self.predictor(self.features(turned)).float()  # 4B x 4
        error = F.cross_entropy(predicted, angles)
        losses['predict_rotation'] = error.detach()
        losses['top1_predict_rotation'] = 100 * (predicted.argmax(1) == angles).float().mean()
        losses['loss'] = losses['loss'] + self.weight * error
        return losses
