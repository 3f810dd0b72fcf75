"""AugSelf (Lee et al., "Improving Transferability of Representations via Augmentation-Aware Self-Supervision", 2021).

Shapes
    B  images of this process        C  width of V        P  numbers that describe an augmentation's parameters
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from looc_mm.registry import MODELS
from looc_mm.views import ViewTable

from .multi_head_moco import MultiHeadMoCo
from .relative import mlp, vector_widths, vectors


@MODELS.register_module()
class AugSelf(MultiHeadMoCo):
    """MoCo, and from the features of q and k_0 the difference of their augmentations' parameters is predicted.

    Every augmentation of the pipeline can be predicted by :meth:`AtomicAugmentation.vector`; differences are brought to
    mean 0 and deviation 1, and the loss is their mean squared error. The paper scales each kind by hand, and classifies
    flips. As in its MoCo version, the key's features have no gradient.

    Args:
        predict: Names of augmentations; the paper's are crop and color.
        weight: Of every prediction's loss (the paper's lambda, 1 on ImageNet-100).
        predictor_channels: Width of a predictor's hidden layers.
        **kwargs: The other arguments of :class:`MultiHeadMoCo`.

    Raises:
        ValueError: As :class:`MultiHeadMoCo`; if a name is not in the pipeline, or the views are made in the dataset
            pipeline.
    """

    def __init__(
        self,
        predict: Sequence[str] = ('crop', 'color'),
        weight: float = 1.0,
        predictor_channels: int = 64,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.request_table('AugSelf')
        widths = vector_widths(self.data_preprocessor.pipeline)
        if isinstance(predict, str) or not predict or not set(predict) <= set(widths):
            raise ValueError(f'AugSelf got predict={predict!r}; it is a list of names among {list(widths)}.')
        v = 2 * kwargs['neck']['in_channels']
        self.predictors = nn.ModuleDict({name: mlp(v, predictor_channels, widths[name]) for name in predict})
        self.standardise = nn.ModuleDict({name: nn.BatchNorm1d(widths[name], affine=False) for name in predict})
        self.weight = weight

    def loss(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: list | None = None,
        table: ViewTable | None = None,
    ) -> dict[str, Tensor]:
        """One step; see :meth:`MultiHead.loss`."""
        self.check_views(inputs, data_samples)
        assert table is not None, 'request_table'
        self.update_key_encoder()
        v_k = self.encode_keys(inputs[1:])  # S x B x C
        v = self.features(inputs[0])  # B x C
        losses = self.contrast(self.neck(v), self.project_keys(self.key_heads, v_k), table)

        pair = torch.cat([v, v_k[0]], 1)  # B x 2C
        q, k = (vectors(self.data_preprocessor.pipeline, table, view, v.device) for view in ('q', 'k_0'))
        for name, predictor in self.predictors.items():
            with torch.autocast(v.device.type, enabled=False):
                target = self.standardise[name](q[name] - k[name])  # B x P
            error = F.mse_loss(predictor(pair).float(), target)
            losses[f'predict_{name}'] = error.detach()
            losses['loss'] = losses['loss'] + self.weight * error
        return losses
