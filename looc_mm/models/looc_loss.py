"""The LooC objective: Eq. 2, a pure function of embeddings.

Shapes
    S = n + 1  spaces        B  queries        D  embedding width        K  queue length
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from looc_mm.registry import MODELS


@MODELS.register_module()
class LooCLoss(nn.Module):
    """Eq. 2: the mean over the spaces of one InfoNCE each.

    Space 0 contrasts k_0 with queue 0. Space i >= 1 contrasts k_i with queue i and with every other view
    of the same image, k_0 included, seen by head i. All of it is computed in float32 at least.

    Args:
        temperature: tau. The paper does not give it and closely follows MoCo v2: 0.2.
        mask_false_negatives: Leave out those same-image negatives that by chance have the query's parameters
            of the space's augmentation (with rotation at p = 0.5 that is one in three). The paper does not.
        same_image_negatives: Whether the other views of the image are negatives in the spaces i >= 1. Without them
            every space is all-invariant: the control that separates the effect of spaces from that of more heads and
            views.

    Raises:
        ValueError: If the temperature is not positive.
    """

    def __init__(
        self, temperature: float = 0.2, mask_false_negatives: bool = False, same_image_negatives: bool = True
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(f'LooCLoss got temperature={temperature}; it is positive, MoCo v2 uses 0.2.')
        self.temperature = temperature
        self.mask_false_negatives = mask_false_negatives
        self.same_image_negatives = same_image_negatives

    def forward(
        self, q: Tensor, k: Tensor, queue: Tensor | Sequence[Tensor], same_as_query: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Eq. 2.

        Args:
            q: (S, B, D) normalised, q[i] = z_i of the query.
            k: (S, S, B, D) normalised, k[i, j] = z_i of key view k_j. k[0, j] for j > 0 is not read.
            queue: (S, D, K), column by column the keys of other images in each space.
            same_as_query: (S, S, B) bool, [i, j]: k_j has q's parameters of the i-th augmentation
                (:meth:`looc_mm.views.LeaveOneOutPipeline.same_as_query`); needed to mask false negatives.

        Returns:
            The loss, a scalar, and the loss of each space, (S,).

        Raises:
            ValueError: If false negatives are to be masked and ``same_as_query`` is not given.
        """
        return self.reduce(self.logits(q, k, queue, same_as_query))

    def logits(
        self,
        q: Tensor,
        k: Tensor,
        queue: Tensor | Sequence[Tensor],
        same_as_query: Tensor | None = None,
        own: Tensor | None = None,
    ) -> list[Tensor]:
        """The similarities that Eq. 2 compares, over the temperature; arguments as in :meth:`forward`.

        Args:
            q: See :meth:`forward`.
            k: See :meth:`forward`.
            queue: See :meth:`forward`.
            same_as_query: See :meth:`forward`.
            own: (B, K) bool, which columns of the queue hold the query's own image and are no negatives.

        Returns:
            Per space (B, 1 + n + K), and (B, 1 + K) for the invariant one: the positive, the same-image
            negatives in the order of the other key views, the queue.
        """
        masks = self.mask_false_negatives and self.same_image_negatives and len(q) > 1
        if masks and same_as_query is None:
            raise ValueError(
                'LooCLoss(mask_false_negatives=True) needs to know which views share parameters, and got None. '
                'LeaveOneOutPreprocessor hands them on; with views made in the workers use mask_false_negatives=False.'
            )
        spaces = range(len(q))
        logits = []
        with torch.autocast(q.device.type, enabled=False):
            wide = torch.promote_types(q.dtype, torch.float32)
            for i in spaces:
                query = q[i].to(wide)  # B x D
                positive = (query * k[i, i].to(wide)).sum(1, keepdim=True)  # B x 1
                negatives = query @ queue[i].to(wide)  # B x K
                if own is not None:
                    negatives = negatives.masked_fill(own, -torch.inf)
                if i == 0 or not self.same_image_negatives:
                    logits.append(torch.cat([positive, negatives], 1))
                    continue
                others = torch.cat([k[i, :i], k[i, i + 1 :]]).to(wide)  # n x B x D
                same_image = torch.einsum('bd,jbd->bj', query, others)  # B x n
                if masks and same_as_query is not None:
                    false = torch.cat([same_as_query[i, :i], same_as_query[i, i + 1 :]]).t()  # B x n
                    same_image = same_image.masked_fill(false, -torch.inf)
                logits.append(torch.cat([positive, same_image, negatives], 1))
            return [each / self.temperature for each in logits]

    @staticmethod
    def reduce(logits: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Cross-entropy of the first column in each space, and its mean over the spaces.

        Args:
            logits: Per space (B, 1 + negatives), positive first.

        Returns:
            The loss, a scalar, and the loss of each space, (S,).
        """
        per_space = torch.stack([F.cross_entropy(each, each.new_zeros(len(each)).long()) for each in logits])
        return per_space.mean(), per_space
