"""LooC on momentum contrast: section 3 of the paper, top to bottom.

Shapes
    n  augmentations left out      S = n + 1  spaces, 'invariant' first      B  images of this process
    C  width of V                  D  width of a Z_i                         K  queue length
    views: S + 1 of them, q, k_0, k_1 ... k_n, each B x 3 x h x w
"""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmpretrain.models.selfsup import BaseSelfSupervisor
from torch import Tensor, nn

from looc_mm.registry import MODELS
from looc_mm.views import view_names

from .representation import check_spaces, encode
from .shuffled_bn import Shuffle


@MODELS.register_module()
class MultiHeadMoCo(BaseSelfSupervisor):
    """LooC: a shared backbone f, a head h_i and a queue for each space, and their momentum copies.

    Heads and queues are made for the spaces that the data preprocessor's view pipeline declares. With no
    augmentation left out this is MoCo v2.

    Args:
        backbone: Config of an MMPreTrain backbone whose last output is a feature map or a vector.
        neck: Config of :class:`QueuePerHeadNeck`, without spaces.
        head: Config of :class:`LooCLoss`.
        data_preprocessor: Config of :class:`LeaveOneOutPreprocessor`; or, where the views are made in the
            dataset's pipeline, one that normalises a list of views.
        spaces: Only where the views are made in the dataset's pipeline: the names of its spaces.
        momentum: m of the key encoder: key = m key + (1 - m) query. MoCo: 0.999.
        shuffle_bn: Encode keys in batches shuffled over the processes, so that batch norm cannot leak. It has no
            effect in one process.

    Attributes:
        spaces: ``('invariant', *leave_one_out)``.

    Raises:
        ValueError: If the spaces are declared nowhere or twice, or the momentum is not in [0, 1].
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        head: dict,
        data_preprocessor: dict,
        spaces: Sequence[str] | None = None,
        momentum: float = 0.999,
        shuffle_bn: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        if not 0 <= momentum <= 1:
            raise ValueError(f'MultiHeadMoCo got momentum={momentum}; it lies in [0, 1], MoCo uses 0.999.')
        super().__init__(
            backbone=MODELS.build(backbone),
            head=MODELS.build(head),
            data_preprocessor=MODELS.build(data_preprocessor),
            init_cfg=init_cfg,
        )
        declared = getattr(getattr(self.data_preprocessor, 'pipeline', None), 'spaces', None)
        if (declared is None) == (spaces is None):
            raise ValueError(
                f'MultiHeadMoCo takes its spaces from data_preprocessor.pipeline (got {declared}), or from its own '
                f'argument `spaces` (got {spaces}) where the views are made in the dataset pipeline: give one of them.'
            )
        self.spaces = tuple(declared or spaces or ())
        self.view_names = view_names(self.spaces)
        self.backbone.to(memory_format=torch.channels_last)  # faster convolutions on GPUs and CPUs alike
        self.neck = MODELS.build({**neck, 'spaces': self.spaces})
        self.key_backbone = copy.deepcopy(self.backbone).requires_grad_(False)
        self.key_heads = self.neck.make_key_heads()
        self.momentum = momentum
        self.shuffle_bn = shuffle_bn
        self.batch_checked = False

    def init_weights(self) -> None:
        """Initialise the query encoder and start the key encoder as its copy."""
        super().init_weights()
        self.key_backbone.load_state_dict(self.backbone.state_dict())
        self.key_heads.load_state_dict(self.neck.heads.state_dict())

    def forward(
        self,
        inputs: Any,
        data_samples: list | None = None,
        shared: Tensor | None = None,
        mode: str = 'tensor',
    ) -> Tensor | dict[str, Tensor]:
        """MMEngine's entry: mode 'loss' is :meth:`loss`, mode 'tensor' is :meth:`extract_feat`."""
        if mode == 'loss':
            return self.loss(inputs, data_samples, shared)
        if mode == 'tensor':
            return self.extract_feat(inputs)
        raise ValueError(f"MultiHeadMoCo got mode={mode!r}; allowed are 'loss' and 'tensor'.")

    def loss(
        self, inputs: Tensor | Sequence[Tensor], data_samples: list | None = None, shared: Tensor | None = None
    ) -> dict[str, Tensor]:
        """One step of section 3.

        Args:
            inputs: S + 1 views, q first, then k_0, then one key per space in order, each (B, 3, h, w).
            data_samples: Where the views come from a dataset's pipeline: their metainfo holds their names.
            shared: (S, S, B) bool, see :meth:`LooCLoss.forward`.

        Returns:
            'loss', Eq. 2; and to be watched per space: its own loss, how often the positive beats every
            negative (top1), and the mean similarity of the positive and of the same-image negatives.

        Raises:
            ValueError: If the views are not the spaces' or the batch does not suit the model.
        """
        self._check_views(inputs, data_samples)
        q = self.neck(encode(self.backbone, inputs[0]))  # S x B x D
        with torch.no_grad():
            self._update_key_encoder()
            k = self._encode_keys(inputs[1:])  # S x S x B x D
        logits = self.head.logits(q, k, self.neck.queue(), shared)
        loss, per_space = self.head.reduce(logits)  # Eq. 2
        self.neck.enqueue(k.diagonal().permute(2, 0, 1))  # S x B x D: head_i(k_i)
        return {'loss': loss, **self._watch(logits, per_space)}

    @torch.no_grad()
    def _update_key_encoder(self) -> None:
        """key = m key + (1 - m) query, for backbone and heads."""
        key = [*self.key_backbone.parameters(), *self.key_heads.parameters()]
        query = [*self.backbone.parameters(), *self.neck.heads.parameters()]
        torch._foreach_lerp_(key, query, 1 - self.momentum)

    @torch.no_grad()
    def _encode_keys(self, keys: Tensor | Sequence[Tensor]) -> Tensor:
        """All key views by the momentum encoder in one pass: S of (B, 3, h, w) to (S, S, B, D).

        Only the pairs that Eq. 2 reads are computed; [0, j] for j > 0 stays 0.
        """
        views = torch.stack(tuple(keys), 1)  # B x S x 3 x h x w
        batch_size = len(views)
        order = Shuffle(batch_size) if self.shuffle_bn and get_world_size() > 1 else None
        if order:
            views = order.shuffle(views)
        v = encode(self.key_backbone, views.flatten(0, 1))  # BS x C
        v = v.unflatten(0, (batch_size, -1)).transpose(0, 1)  # S x B x C
        z = [self.key_heads[space](v if i else v[:1]) for i, space in enumerate(self.spaces)]
        k = z[0].new_zeros(len(z), *v.shape[:2], z[0].shape[-1])
        k[0, :1] = z[0]
        for i in range(1, len(z)):
            k[i] = z[i]
        return order.restore(k.movedim(2, 0)).movedim(0, 2) if order else k

    @torch.no_grad()
    def _watch(self, logits: Sequence[Tensor], per_space: Tensor) -> dict[str, Tensor]:
        """What tells a person that a space has collapsed or learnt nothing."""
        figures = {}
        for i, space in enumerate(self.spaces):
            figures[f'loss_{space}'] = per_space[i].detach()
            figures[f'top1_{space}'] = 100 * (logits[i][:, :1] > logits[i][:, 1:]).all(1).float().mean()
            figures[f'pos_{space}'] = logits[i][:, 0].mean() * self.head.temperature
            if i and self.head.same_image_negatives:
                same_image = logits[i][:, 1 : len(self.spaces)]
                kept = same_image.isfinite()  # a masked false negative is -inf
                total = torch.where(kept, same_image, 0).sum()
                figures[f'neg_{space}'] = total / kept.sum().clamp_min(1) * self.head.temperature
        return figures

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Eq. 2's mean is what is minimised; the other entries are only logged."""
        return losses['loss'], {**losses, 'loss': losses['loss'].detach()}

    def extract_feat(self, images: Tensor, spaces: Sequence[str] | None = None) -> Tensor:
        """The learnt representation.

        Args:
            images: (B, 3, h, w), normalised.
            spaces: None for V; else names of spaces, whose Z_i are concatenated in the given order.

        Returns:
            (B, C) for V, (B, D * len(spaces)) for spaces.

        Raises:
            ValueError: If a space is unknown.
        """
        v = encode(self.backbone, images)
        if spaces is None:
            return v
        check_spaces(spaces, self.spaces)
        return torch.cat([self.neck.heads[space](v) for space in spaces], 1)

    def _check_views(self, inputs: Tensor | Sequence[Tensor], data_samples: list | None) -> None:
        """Refuse a first batch whose views are not the model's, before hours are spent."""
        if self.batch_checked:
            return
        names = data_samples[0].get('views') if data_samples else None
        if names is not None and tuple(names) != self.view_names:
            raise ValueError(
                f'The dataset pipeline makes the views {list(names)} and the model, with spaces={list(self.spaces)}, '
                f'takes {list(self.view_names)}. Make leave_one_out of the one and spaces of the other agree.'
            )
        if len(inputs) != len(self.view_names):
            raise ValueError(
                f'The model takes the views {list(self.view_names)} and got {len(inputs)} of them. Views made '
                "in the dataset pipeline come from LeaveOneOutPipeline; PackInputs(meta_keys=('views',)) passes on "
                'their names.'
            )
        norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm)
        if len(inputs[0]) == 1 and any(isinstance(module, norms) for module in self.modules()):
            raise ValueError(
                'Got a batch of 1 image per process, from which batch norm cannot estimate a variance. Use '
                'train_dataloader.batch_size >= 2, or a backbone without batch norm.'
            )
        self.batch_checked = True
