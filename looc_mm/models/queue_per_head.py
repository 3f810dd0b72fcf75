"""A projection head and a queue for every embedding space.

Shapes
    S  spaces        B  images of this process        N  processes
    C  feature width        D  embedding width        K  queue length
"""

import copy
from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather
from mmengine.model import BaseModule
from torch import Tensor, nn

from looc_mm.registry import MODELS

from .representation import pooled


class ProjectionHead(nn.Sequential):
    """h_i of section 3: MoCo v2's two-layer MLP onto the unit sphere, (..., C) -> (..., D)."""

    def __init__(self, in_channels: int, hid_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Linear(in_channels, hid_channels), nn.ReLU(inplace=True), nn.Linear(hid_channels, out_channels)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Project and normalise; the norm is taken in float32."""
        return F.normalize(super().forward(features).float(), dim=-1)


class BranchHead(nn.Module):
    """h_i of LooC++ (section 3): the backbone's last stage, its pooling and the MLP, (..., C', h', w') -> (..., D)."""

    def __init__(self, last_stage: nn.Module, mlp: ProjectionHead) -> None:
        super().__init__()
        self.last_stage = last_stage
        self.mlp = mlp

    def branch(self, features: Tensor) -> Tensor:
        """The part of V from one space in LooC++: (..., C', h', w') -> (..., C)."""
        return pooled(self.last_stage(features.flatten(0, -4))).unflatten(0, features.shape[:-3])

    def forward(self, features: Tensor) -> Tensor:
        """Project and normalise."""
        return self.mlp(self.branch(features))


class KeyQueue(nn.Module):
    """First in, first out memory of the keys of one space, (D, K), oldest overwritten first.

    A new queue holds random unit vectors, as MoCo's. They are negatives in the loss and count in no figure.
    """

    keys: Tensor
    place: Tensor
    stored: Tensor

    def __init__(self, width: int, length: int) -> None:
        super().__init__()
        self.register_buffer('keys', F.normalize(torch.randn(width, length), dim=0))
        self.register_buffer('place', torch.zeros((), dtype=torch.long))
        self.register_buffer('stored', torch.zeros((), dtype=torch.long))  # number of keys so far

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Overwrite the oldest keys by new ones, (B, D), whose number divides the queue's length."""
        where = (self.place + torch.arange(len(keys), device=keys.device)).remainder(self.keys.shape[1])
        self.keys.index_copy_(1, where, keys.t().to(self.keys.dtype))
        self.place.add_(len(keys)).remainder_(self.keys.shape[1])
        self.stored.add_(len(keys))

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: object, **kwargs: object) -> None:
        """A file that does not hold the number of keys is of an earlier version; its queue is taken as full."""
        if f'{prefix}keys' in state_dict:
            state_dict.setdefault(f'{prefix}stored', torch.tensor(self.keys.shape[1]))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


@MODELS.register_module()
class HeadPerSpaceNeck(BaseModule):
    """Projects features into every space.

    Args:
        in_channels: C, width of the backbone's pooled feature; left out, the model fills in what the backbone gives.
        extra_channels: Width of what a method concatenates to the feature; the model fills it in.
        hid_channels: Width of a head's hidden layer.
        out_channels: D.
        spaces: Names of the spaces in order; the model fills them in from the view pipeline.
        last_stage: A stage of the backbone that each head gets a copy of; the model fills it in for LooC++.

    Raises:
        ValueError: If there are no spaces, or a width is not positive; on loading, if the checkpoint was trained with
            other spaces or other heads.
    """

    def __init__(
        self,
        in_channels: int | None = None,
        hid_channels: int = 2048,
        out_channels: int = 128,
        spaces: Sequence[str] = (),
        last_stage: nn.Module | None = None,
        extra_channels: int = 0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if not spaces:
            raise ValueError(f'{type(self).__name__} got no spaces; the model hands them over from its view pipeline.')
        if in_channels is None:
            raise ValueError(f'{type(self).__name__} got no in_channels; a model fills it in, or give a number.')
        if min(in_channels, hid_channels, out_channels) < 1:
            raise ValueError(
                f'{type(self).__name__} got in_channels={in_channels}, hid_channels={hid_channels}, '
                f'out_channels={out_channels}; each is at least 1.'
            )
        self.spaces = tuple(spaces)
        self.heads = nn.ModuleDict()
        for space in self.spaces:
            head = ProjectionHead(in_channels + extra_channels, hid_channels, out_channels)
            self.heads[space] = BranchHead(copy.deepcopy(last_stage), head) if last_stage is not None else head

    def make_key_heads(self) -> nn.ModuleDict:
        """A copy of the heads for the key encoder, without gradients."""
        return copy.deepcopy(self.heads).requires_grad_(False)

    def forward(self, features: Tensor) -> Tensor:
        """Features of the query, (B, C), or (B, C', h', w') in LooC++, to (S, B, D) embeddings, one per space."""
        return torch.stack([self.heads[space](features) for space in self.spaces])

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: object, **kwargs: object) -> None:
        start = f'{prefix}heads.'
        spaces = list(dict.fromkeys(key[len(start) :].split('.')[0] for key in state_dict if key.startswith(start)))
        if spaces and set(spaces) != set(self.spaces):
            raise ValueError(
                f'The checkpoint has the spaces {spaces} and the model {list(self.spaces)}. Train with the '
                f"checkpoint's spaces (data_preprocessor.pipeline.leave_one_out), or take over its backbone alone: "
                f"model.backbone.init_cfg=dict(type='Pretrained', checkpoint=..., prefix='backbone.')."
            )
        given = {key: tuple(value.shape) for key, value in state_dict.items() if key.startswith(start)}
        own = {f'{start}{key}': tuple(value.shape) for key, value in self.heads.state_dict().items()}
        if given and given != own:
            key = min(key for key in given.keys() | own.keys() if given.get(key) != own.get(key))
            raise ValueError(
                f"The checkpoint's heads are not the model's: {key} is {given.get(key, 'not there')} in the checkpoint "
                f'and {own.get(key, "not there")} in the model. Set model.neck.in_channels, hid_channels, out_channels '
                f'and model.last_stage_per_space (LooC++) as the checkpoint was trained.'
            )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


@MODELS.register_module()
class QueuePerHeadNeck(HeadPerSpaceNeck):
    """Projects features into every space and keeps a queue of keys for each.

    Args:
        queue_len: K, a multiple of the batch size over all processes.
        out_channels: D.
        **kwargs: The other arguments of :class:`HeadPerSpaceNeck`.

    Raises:
        ValueError: As :class:`HeadPerSpaceNeck`; if the queue is not positive; on loading, if the checkpoint has
            queues of another length.
    """

    def __init__(self, queue_len: int = 16384, out_channels: int = 128, **kwargs: Any) -> None:
        super().__init__(out_channels=out_channels, **kwargs)
        if queue_len < 1:
            raise ValueError(f'QueuePerHeadNeck got queue_len={queue_len}; it is at least 1.')
        self.queues = nn.ModuleDict({space: KeyQueue(out_channels, queue_len) for space in self.spaces})

    def queue(self) -> Tensor:
        """A copy of all queues, (S, D, K), which stays as it is when new keys arrive."""
        return torch.stack([queue.keys for queue in self._queues()])

    def filled(self) -> Tensor:
        """(K,) bool: which columns of the queues hold keys, and no vector that they were filled with at first."""
        first = self._queues()[0]
        return torch.arange(self.queue_len, device=first.stored.device) < first.stored

    def _queues(self) -> list[KeyQueue]:
        return [cast(KeyQueue, self.queues[space]) for space in self.spaces]

    @property
    def queue_len(self) -> int:
        """K."""
        return self._queues()[0].keys.shape[1]

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        """Store this step's keys of all processes, rank by rank.

        Args:
            keys: (S, B, D), keys[i] = head_i(k_i) of this process.

        Raises:
            ValueError: If the batch over all processes does not divide the queue's length.
        """
        gathered = torch.cat(all_gather(keys.contiguous()), 1)  # S x NB x D
        if self.queue_len % gathered.shape[1]:
            raise ValueError(
                f'The queue of {self.queue_len} keys is not a multiple of the batch: {keys.shape[1]} images on each of '
                f'{gathered.shape[1] // keys.shape[1]} processes, {gathered.shape[1]} together. Change '
                f'model.neck.queue_len or the batch size; if only the last batch of an epoch is smaller, '
                f'set drop_last=True in train_dataloader.'
            )
        for queue, new in zip(self._queues(), gathered, strict=True):
            queue.enqueue(new)

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: object, **kwargs: object) -> None:
        start = f'{prefix}queues.'
        lengths = {value.shape[1] for key, value in state_dict.items() if key.startswith(start) and value.ndim == 2}
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        if lengths and lengths != {self.queue_len}:
            raise ValueError(
                f'The checkpoint has queues of {sorted(lengths)} keys and the model of {self.queue_len}; '
                f'set model.neck.queue_len to the length of the checkpoint.'
            )
