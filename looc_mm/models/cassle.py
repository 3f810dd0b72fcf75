"""CASSLE (Przewiezlikowski et al., "Augmentation-aware Self-supervised Learning with Conditioned Projector", 2023).

Shapes
    B  images of this process        C  width of V        P  numbers that describe all augmentations of a view
    S  spaces, 1 if none is left out
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from looc_mm.registry import MODELS
from looc_mm.views import ViewTable

from .multi_head_moco import MultiHeadMoCo
from .relative import mlp, vector_widths, vectors


@MODELS.register_module()
class CASSLE(MultiHeadMoCo):
    """MoCo whose projector is told how each view was augmented, so that V need not forget it.

    An MLP turns the parameters of all the view's augmentations into a condition, which is concatenated to V before the
    heads. The parameters are :meth:`AtomicAugmentation.vector` of the pipeline's augmentations; the paper adds the
    difference of the mean colours, a function of the image.

    Args:
        neck: As of :class:`MultiHeadMoCo`; ``in_channels`` is the width of V.
        condition_channels: Width of the condition (the paper's: 64 or 128).
        **kwargs: The other arguments of :class:`MultiHeadMoCo`.

    Raises:
        ValueError: As :class:`MultiHeadMoCo`; if the views are made in the dataset pipeline.
    """

    def __init__(self, neck: dict, condition_channels: int = 64, **kwargs: Any) -> None:
        super().__init__(neck={**neck, 'in_channels': neck['in_channels'] + condition_channels}, **kwargs)
        self.request_table('CASSLE')
        width = sum(vector_widths(self.data_preprocessor.pipeline).values())
        self.conditioner = mlp(width, condition_channels, condition_channels)
        self.key_conditioner = copy.deepcopy(self.conditioner).requires_grad_(False)

    def loss(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: list | None = None,
        table: ViewTable | None = None,
    ) -> dict[str, Tensor]:
        """One step; see :meth:`MultiHead.loss`."""
        self.check_views(inputs, data_samples)
        assert table is not None, 'request_table'
        omega = {
            view: torch.cat([*vectors(self.data_preprocessor.pipeline, table, view, inputs[0].device).values()], 1)
            for view in self.view_names
        }  # B x P each
        self.update_key_encoder()
        with torch.no_grad():
            conditions = torch.stack([self.key_conditioner(omega[view]) for view in self.view_names[1:]])
            v_k = torch.cat([self.encode_keys(inputs[1:]), conditions], 2)  # S x B x C + condition
            k = self.project_keys(self.key_heads, v_k)
        v = self.features(inputs[0])  # B x C
        q = self.neck(torch.cat([v, self.conditioner(omega['q'])], 1))  # S x B x D
        return self.contrast(q, k, table)

    @property
    def momentum_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """As MoCo's, and the conditioner with them."""
        return [*super().momentum_pairs, (self.key_conditioner, self.conditioner)]

    #: V alone: the heads read parameters that a plain image does not have.
    representation_names = ['V']
    representation_prefixes = ('backbone.',)

    def representations(self, images: Tensor) -> dict[str, Tensor]:
        """V alone, (B, C)."""
        return {'V': self.features(images)}
