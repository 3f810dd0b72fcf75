"""LooC on SimCLR: the same views, heads and Eq. 2; keys from the query's encoder, negatives from the batch.

Shapes
    n  augmentations left out      S = n + 1  spaces, 'invariant' first      N  processes
    B  images of this process      C  width of V                             D  width of a Z_i
    views: S + 1 of them, q, k_0, k_1 ... k_n, each B x 3 x h x w
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather, all_reduce, get_rank
from torch import Tensor

from looc_mm.registry import MODELS
from looc_mm.views import ViewTable

from .multi_head import MultiHead


class Gather(torch.autograd.Function):
    """Rows of all processes, rank by rank, (B, ...) -> (N * B, ...); each process gets back all gradients of its own.

    torch.distributed.nn has one, which is deprecated and mixes up gradients that are not contiguous on gloo.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        """Gather."""
        ctx.own = slice(get_rank() * len(rows), (get_rank() + 1) * len(rows))
        return torch.cat(all_gather(rows.contiguous()))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        """Sum over the processes, and take one's own."""
        gradient = gradient.contiguous().clone()
        all_reduce(gradient)
        return gradient[ctx.own]


@MODELS.register_module()
class MultiHeadSimCLR(MultiHead):
    """LooC without queues and momentum (Chen et al., 2020, in the place of MoCo).

    One encoder with gradients for all views. The negatives of space i are, as in SimCLR, the two views that the space
    compares, q and k_i, of all other images of all processes; the same-image negatives are Eq. 2's. With no
    augmentation left out this is SimCLR with q as the only query: k_i is none, for no view is its positive under Eq. 2.

    It keeps the activations of n + 2 views for the backward pass where :class:`MultiHeadMoCo` keeps those of one.

    Args: see :class:`MultiHead`; the neck is a :class:`HeadPerSpaceNeck`.
    """

    def loss(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: list | None = None,
        table: ViewTable | None = None,
    ) -> dict[str, Tensor]:
        """One step; see :meth:`MultiHead.loss`."""
        self.check_views(inputs, data_samples)
        v = self.features(torch.cat(tuple(inputs))).unflatten(0, (len(inputs), -1))  # S + 1 x B x C
        q = self.neck(v[0])  # S x B x D
        k = self.project_keys(self.neck.heads, v[1:])  # S x S x B x D
        negatives, own = self._in_batch(torch.stack([q, k.diagonal().permute(2, 0, 1)], 1))
        same_as_query = self.same_as_query(table)
        logits = self.head.logits(q, k, negatives, same_as_query, own)
        loss, per_space = self.head.reduce(logits)  # Eq. 2
        return {'loss': loss, **self.watch(logits, per_space, same_as_query)}

    @staticmethod
    def _in_batch(z: Tensor) -> tuple[Tensor, Tensor]:
        """The replacement of the queue: the embeddings of all processes, with their gradients.

        Args:
            z: (S, 2, B, D), head_i of q and of k_i.

        Returns:
            (S, D, N * 2B), and (B, N * 2B) bool, which columns are of the query's own image.
        """
        gathered = Gather.apply(z.flatten(1, 2).transpose(0, 1)).transpose(0, 1)  # S x N2B x D
        images = torch.arange(z.shape[2], device=z.device)
        own = images.repeat(2) == images[:, None]  # B x 2B
        rank = get_rank()
        return gathered.transpose(1, 2), F.pad(
            own, (rank * own.shape[1], gathered.shape[1] - (rank + 1) * own.shape[1])
        )
