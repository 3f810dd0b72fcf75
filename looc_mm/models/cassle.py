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
from .relative import example, mlp, named, to_device, vector


@MODELS.register_module()
class CASSLE(MultiHeadMoCo):
    """MoCo whose projector is told how each view was augmented, so that V need not forget it.

    An MLP of six layers with batch norm turns the parameters of the view's augmentations into a condition, which is
    concatenated to V before the heads. The parameters are :meth:`AtomicAugmentation.vector`; the crop's are mirrored
    where the view is. Two things differ from the paper: the change of the mean colours, a function of the image, is not
    among the parameters, and the heads are MoCo v2's, without batch norm.

    Args:
        neck: As of :class:`MultiHeadMoCo`; ``in_channels`` is the width of V, without the condition.
        condition: Names of augmentations; the paper's are crop, color (with grayscale) and blur.
        condition_channels: Width of the condition and of the hidden layers (the paper's: 64).
        **kwargs: The other arguments of :class:`MultiHeadMoCo`.

    Raises:
        ValueError: As :class:`MultiHeadMoCo`; if a name is not in the pipeline, or the views are made in the dataset
            pipeline.
    """

    def __init__(
        self,
        neck: dict,
        condition: Sequence[str] = ('crop', 'color', 'blur'),
        condition_channels: int = 64,
        **kwargs: Any,
    ) -> None:
        super().__init__(neck={**neck, 'extra_channels': condition_channels}, **kwargs)
        self.request_table('CASSLE')
        self.condition = named('CASSLE', 'condition', condition, self.data_preprocessor.pipeline)
        width = self.omega(example(self.data_preprocessor.pipeline), 'q').shape[1]
        self.conditioner = mlp(width, condition_channels, condition_channels, layers=6, last_norm=True)
        self.key_conditioner = copy.deepcopy(self.conditioner).requires_grad_(False)

    def omega(self, table: ViewTable, view: str) -> Tensor:
        """The parameters that condition a view's projection, (B, P)."""
        return torch.cat([vector(each, table, view) for each in self.condition], 1)

    def loss(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: list | None = None,
        table: ViewTable | None = None,
    ) -> dict[str, Tensor]:
        """One step; see :meth:`MultiHead.loss`."""
        self.check_views(inputs, data_samples)
        assert table is not None, 'request_table'
        omega = {view: to_device(self.omega(table, view), inputs[0]) for view in self.view_names}  # B x P each
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
