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
from .relative import example, mlp, named, relation, to_device


@MODELS.register_module()
class AugSelf(MultiHeadMoCo):
    """MoCo, and from the features of q and k_0 the difference of their augmentations' parameters is predicted.

    The difference is :meth:`AtomicAugmentation.relation`. Numbers are predicted by tanh of the output under a mean
    squared error, categories such as the angle under cross-entropy, from (q, k_0) and from (k_0, q). As in the paper's
    MoCo version, the key's features have no gradient. Two things differ from the authors' code: the queue holds keys
    here and queries there, and the batch norm of a predictor sees one process's batch.

    Args:
        predict: Names of augmentations; the paper's are crop and color.
        weight: Of every prediction's loss (the paper's lambda, 0.5 on ImageNet-100).
        predictor_channels: Width of a predictor's hidden layers (the paper's: 512).
        **kwargs: The other arguments of :class:`MultiHeadMoCo`.

    Raises:
        ValueError: As :class:`MultiHeadMoCo`; if a name is not in the pipeline, or the views are made in the dataset
            pipeline.
    """

    def __init__(
        self,
        predict: Sequence[str] = ('crop', 'color'),
        weight: float = 0.5,
        predictor_channels: int = 512,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.request_table('AugSelf')
        pipeline = self.data_preprocessor.pipeline
        self.predicted = named('AugSelf', 'predict', predict, pipeline)
        table, v = example(pipeline), 2 * self.width
        self.predictors = nn.ModuleDict()
        for each in self.predicted:
            outputs = each.classes or relation(each, table, 'q', 'k_0').shape[1]
            self.predictors[each.name] = mlp(v, predictor_channels, outputs, layers=3)
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

        pairs = torch.cat([torch.cat([v, v_k[0]], 1), torch.cat([v_k[0], v], 1)])  # 2B x 2C
        for each in self.predicted:
            both = torch.cat([relation(each, table, 'q', 'k_0'), relation(each, table, 'k_0', 'q')])  # 2B (x P)
            predicted, target = self.predictors[each.name](pairs).float(), to_device(both, v)
            error = F.cross_entropy(predicted, target) if each.classes else F.mse_loss(predicted.tanh(), target)
            losses[f'predict_{each.name}'] = error.detach()
            losses['loss'] = losses['loss'] + self.weight * error
        return losses
