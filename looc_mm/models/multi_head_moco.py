"""LooC on momentum contrast: section 3 of the paper, top to bottom.

Shapes
    n  augmentations left out      S = n + 1  spaces, 'invariant' first      B  images of this process
    C  width of V                  D  width of a Z_i                         K  queue length
    views: S + 1 of them, q, k_0, k_1 ... k_n, each B x 3 x h x w
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.dist import get_world_size
from torch import Tensor, nn

from looc_mm.registry import MODELS
from looc_mm.views import ViewTable

from .multi_head import MultiHead
from .representation import encode
from .shuffled_bn import Shuffle
from .split_bn import SplitBatchNorm2d


@MODELS.register_module()
class MultiHeadMoCo(MultiHead):
    """LooC: a shared backbone f, a head h_i and a queue for each space, and their momentum copies.

    With no augmentation left out this is MoCo v2.

    With ``optim_wrapper.accumulative_counts=k`` the gradient is that of the mean loss over k batches, and the key
    encoder follows once for all of them. That is not quite one batch of k times the size: batch norm sees each batch
    separately, and a batch's negatives hold the keys of those accumulated before it.

    Args:
        neck: Config of :class:`QueuePerHeadNeck`, without spaces.
        momentum: m of the key encoder: key = m key + (1 - m) query. MoCo: 0.999.
        shuffle_bn: Encode keys in batches shuffled over the processes, so that batch norm cannot leak. In one process
            it has an effect with :class:`SplitBatchNorm2d` only.
        **kwargs: The other arguments of :class:`MultiHead`.

    Raises:
        ValueError: As :class:`MultiHead`; if the momentum is not in [0, 1].
    """

    def __init__(self, neck: dict, momentum: float = 0.999, shuffle_bn: bool = True, **kwargs: Any) -> None:
        if not 0 <= momentum <= 1:
            raise ValueError(f'MultiHeadMoCo got momentum={momentum}; it must be in [0, 1], MoCo uses 0.999.')
        super().__init__(neck=neck, **kwargs)
        self.key_backbone = copy.deepcopy(self.backbone).requires_grad_(False)
        self.key_heads = self.neck.make_key_heads()
        self.compile_encoder(self.key_backbone, self.key_heads)
        self.momentum = momentum
        self.stepped = self.gradients_end = False  # whether a step was made; whether its gradients were None after it
        self.shuffle_bn = shuffle_bn
        self.split_bn = any(isinstance(module, SplitBatchNorm2d) for module in self.modules())

    @property
    def momentum_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """What follows by momentum, each (key, query)."""
        return [(self.key_backbone, self.backbone), (self.key_heads, self.neck.heads)]

    @property
    def backbones(self) -> list[nn.Module]:
        """As MultiHead's, and the key encoder's."""
        return [self.backbone, self.key_backbone]

    def init_weights(self) -> None:
        """Initialise the query encoder and start the key encoder as its copy."""
        super().init_weights()
        for key, query in self.momentum_pairs:
            key.load_state_dict(query.state_dict())

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: object, **kwargs: object) -> None:
        """A part of the key encoder that the file does not hold starts as the copy of the query encoder's."""
        names = {module: prefix + name for name, module in self.named_modules()}
        for key, query in self.momentum_pairs:
            if not any(name.startswith(f'{names[key]}.') for name in state_dict):
                start = f'{names[query]}.'
                copies = {name: value for name, value in state_dict.items() if name.startswith(start)}
                state_dict.update({f'{names[key]}.{name[len(start) :]}': value for name, value in copies.items()})
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def loss(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: list | None = None,
        table: ViewTable | None = None,
    ) -> dict[str, Tensor]:
        """One step of section 3; see :meth:`MultiHead.loss`.

        Keys come first: what their pass takes is free again before the query's activations need it.
        """
        self.check_views(inputs, data_samples)
        self.update_key_encoder()
        k = self.encode_keys(inputs[1:], lambda v: self.project_keys(self.key_heads, v))  # S x S x B x D
        q = self.neck(self.features(inputs[0]))  # S x B x D
        return self.contrast(q, k, table)

    def contrast(self, q: Tensor, k: Tensor, table: ViewTable | None = None) -> dict[str, Tensor]:
        """Eq. 2 against the queues, which then take the keys in.

        Args:
            q: (S, B, D).
            k: (S, S, B, D), k[i, j] = z_i of k_j.
            table: The view table, for the figures and where false negatives are masked.

        Returns:
            'loss', and the loss of each space.
        """
        same_as_query = self.same_as_query(table)
        logits = self.head.logits(q, k, self.neck.queue(), same_as_query)
        loss, per_space = self.head.reduce(logits)  # Eq. 2
        filled = self.neck.filled()  # K
        self.neck.enqueue(k.diagonal().permute(2, 0, 1))  # S x B x D: head_i(k_i)
        return {'loss': loss, **self.watch(logits, per_space, same_as_query, filled)}

    @torch.no_grad()
    def update_key_encoder(self) -> None:
        """key = m key + (1 - m) query, for all pairs, once per step of the optimizer.

        A pending gradient means that the optimizer has not stepped: batches are being accumulated. So gradients have to
        be None after a step, as torch and MMEngine leave them.

        Raises:
            RuntimeError: If the training loop sets gradients to zero, with which the key encoder would never move.
        """
        keys, queries = (
            [p for each in side for p in each.parameters()] for side in zip(*self.momentum_pairs, strict=True)
        )
        pending = [query.grad for query in queries if query.grad is not None]
        if not pending:
            torch._foreach_lerp_(keys, queries, 1 - self.momentum)
            self.gradients_end = self.stepped
        elif not self.gradients_end and not any(grad.any() for grad in pending):  # until one step is seen
            raise RuntimeError(
                'All gradients are 0 when a training step begins: the training loop calls '
                'zero_grad(set_to_none=False). MultiHeadMoCo takes a pending gradient as a sign that batches are being '
                "accumulated, so its key encoder would never move. Call zero_grad() with torch's default: None."
            )
        self.stepped = True

    @torch.no_grad()
    def encode_keys(self, keys: Tensor | Sequence[Tensor], project: Callable[[Tensor], Tensor] = lambda v: v) -> Tensor:
        """All key views by the momentum encoder in one pass.

        Args:
            keys: S key views, each (B, 3, h, w).
            project: What to make of the features, (S, B, C) to (..., B, D), while the images are still shuffled.

        Returns:
            What ``project`` gives, for this process's images; without it the features.
        """
        views = torch.stack(tuple(keys), 1)  # B x S x 3 x h x w
        device, batch_size = views.device.type, len(views)
        if torch.is_autocast_enabled(device):
            views = views.to(torch.get_autocast_dtype(device))  # as the first layer would: half as much to exchange
        order = Shuffle(batch_size) if self.shuffle_bn and (get_world_size() > 1 or self.split_bn) else None
        if order:
            views = order.shuffle(views)
        v = encode(self.key_backbone, views.flatten(0, 1), pool=not self.last_stage_per_space)  # BS x C
        k = project(v.unflatten(0, (batch_size, -1)).transpose(0, 1))
        return order.restore(k.movedim(-2, 0)).movedim(0, -2) if order else k
