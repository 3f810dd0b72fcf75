"""E-SSL (Dangovski et al., "Equivariant Contrastive Learning", 2022): MoCo, and the rotation of an image is predicted.

Shapes
    B  images of this process        C  width of V        h', w'  a small crop
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from looc_mm.augmentations.crop import RandomResizedCrop
from looc_mm.registry import MODELS
from looc_mm.views import LeaveOneOutPipeline, ViewTable

from .multi_head_moco import MultiHeadMoCo


@MODELS.register_module()
class ESSL(MultiHeadMoCo):
    """MoCo on upright views, and a classifier of the four rotations of a small crop, turned by all of them.

    Its pipeline holds no rotation: no key is rotated. The small crop is drawn independently of the views, with the
    pipeline's other augmentations; the paper blurs it with probability 0.1 instead of the pipeline's.

    Args:
        weight: Of the prediction's loss (the paper's lambda, 0.4).
        small_size: Side of the small crop in pixels; None for 96 / 224 of the view's, as in the paper.
        small_scale: Range of its area as a share of the image's.
        predictor_channels: Width of the predictor's first two hidden layers; the last has 128.
        **kwargs: The other arguments of :class:`MultiHeadMoCo`.

    Raises:
        ValueError: As :class:`MultiHeadMoCo`; if the pipeline has no random resized crop, or the views are made in the
            dataset pipeline.
    """

    def __init__(
        self,
        weight: float = 0.4,
        small_size: int | None = None,
        small_scale: Sequence[float] = (0.05, 0.14),
        predictor_channels: int = 2048,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        pipeline = getattr(self.data_preprocessor, 'pipeline', None)
        crops = [each for each in getattr(pipeline, 'augmentations', []) if each.name == 'crop']
        if pipeline is None or not crops:
            raise ValueError(
                'ESSL draws a small crop of each canvas: make the views in LeaveOneOutPreprocessor, with '
                'RandomResizedCrop in its pipeline.'
            )
        small = RandomResizedCrop(small_size or round(crops[0].size * 96 / 224), small_scale, crops[0].ratio)
        augmentations = [small if each is crops[0] else each for each in pipeline.augmentations]
        extra = LeaveOneOutPipeline(augmentations, leave_one_out=[])
        extra.views = extra.views[:1]  # no key
        self.data_preprocessor.extra = extra
        c, h = self.width, predictor_channels
        self.predictor = nn.Sequential(
            *(nn.Linear(c, h), nn.LayerNorm(h), nn.ReLU(inplace=True)),
            *(nn.Linear(h, h), nn.LayerNorm(h), nn.ReLU(inplace=True)),
            *(nn.Linear(h, 128), nn.LayerNorm(128), nn.Linear(128, 4)),
        )
        self.weight = weight

    def forward(
        self,
        inputs: Any,
        data_samples: list | None = None,
        table: ViewTable | None = None,
        mode: str = 'tensor',
        extra: Tensor | None = None,
    ) -> Tensor | dict[str, Tensor]:
        """As :meth:`MultiHead.forward`; ``extra`` is the small crop, (B, 3, h', w'), read in mode 'loss'."""
        out = super().forward(inputs, data_samples, table, mode)
        if mode != 'loss':
            return out
        assert extra is not None and isinstance(out, dict), 'the preprocessor makes the small crop'
        return self.add_rotations(out, extra)

    def add_rotations(self, losses: dict[str, Tensor], small: Tensor) -> dict[str, Tensor]:
        """Add the error of the predicted rotations to 'loss'."""
        turned = torch.cat([torch.rot90(small, turns, (-2, -1)) for turns in range(4)])  # 4B x 3 x h' x w'
        angles = torch.arange(4, device=turned.device).repeat_interleave(len(small))
        predicted = self.predictor(self.features(turned)).float()  # 4B x 4
        error = F.cross_entropy(predicted, angles)
        losses['predict_rotation'] = error.detach()
        losses['top1_predict_rotation'] = 100 * (predicted.argmax(1) == angles).float().mean()
        losses['loss'] = losses['loss'] + self.weight * error
        return losses
