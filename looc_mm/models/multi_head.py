"""What LooC is on any contrastive framework: a shared backbone, a head for each space, and Eq. 2.

Shapes
    n  augmentations left out      S = n + 1  spaces, 'invariant' first      B  images of this process
    C  width of V                  D  width of a Z_i
    views: S + 1 of them, q, k_0, k_1 ... k_n, each B x 3 x h x w
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from mmpretrain.models.selfsup import BaseSelfSupervisor
from torch import Tensor, nn

from looc_mm.augmentations.base import send
from looc_mm.registry import MODELS
from looc_mm.views import ViewTable, view_names

from .last_stage import fresh_last_stage, take_last_stage
from .representation import check_spaces, encode


class MultiHead(BaseSelfSupervisor):
    """The part that frameworks share; a framework adds where keys and negatives come from.

    Heads are made for the spaces that the data preprocessor's view pipeline declares.

    Args:
        backbone: Config of an MMPreTrain backbone whose last output is a feature map or a vector.
        neck: Config of a :class:`HeadPerSpaceNeck`, without spaces.
        head: Config of :class:`LooCLoss`.
        data_preprocessor: Config of :class:`LeaveOneOutPreprocessor`; or, where the views are made in the
            dataset's pipeline, one that normalises a list of views.
        spaces: Only where the views are made in the dataset's pipeline: the names of its spaces.
        last_stage_per_space: LooC++ (section 3): each head has a last stage (conv5) of its own, and the
            representation is these stages' pooled outputs, concatenated.
        compile: Whether to compile the encoders by :meth:`torch.nn.Module.compile`, or its arguments. Checkpoints are
            the same. (MMEngine's own ``compile`` takes the whole step, whose draws break it into dozens of graphs.)

    Attributes:
        spaces: ``('invariant', *leave_one_out)``.

    Raises:
        ValueError: If the spaces are declared nowhere or twice, the head needs the view table where there is none, or
            the backbone cannot be split.
    """

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        head: dict,
        data_preprocessor: dict,
        spaces: Sequence[str] | None = None,
        last_stage_per_space: bool = False,
        compile: bool | dict = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            backbone=MODELS.build(backbone),
            head=MODELS.build(head),
            data_preprocessor=MODELS.build(data_preprocessor),
            init_cfg=init_cfg,
        )
        declared = getattr(getattr(self.data_preprocessor, 'pipeline', None), 'spaces', None)
        if (declared is None) == (spaces is None):
            raise ValueError(
                f'{type(self).__name__} takes its spaces from data_preprocessor.pipeline (got {declared}), or from its '
                f'own argument `spaces` (got {spaces}) where the views are made in the dataset pipeline: give one of '
                f'them.'
            )
        self.spaces = tuple(declared or spaces or ())
        self.view_names = view_names(self.spaces)
        self.backbone_cfg = backbone if last_stage_per_space else None
        stage = take_last_stage(self.backbone) if last_stage_per_space else None
        self.neck = MODELS.build({**neck, 'spaces': self.spaces, 'last_stage': stage})
        self.to(memory_format=torch.channels_last)  # faster convolutions on GPUs and CPUs alike
        self.compile_cfg = {} if compile is True else compile
        self.compile_encoder(self.backbone, self.neck.heads)
        self.batch_checked = False
        if self.head.mask_false_negatives:
            self.read_table('LooCLoss(mask_false_negatives=True)')

    def compile_encoder(self, backbone: nn.Module, heads: nn.ModuleDict) -> None:
        """Compile a backbone, and what LooC++'s heads have of it, if the config says so."""
        if self.compile_cfg is False:
            return
        parts: list[nn.Module] = [backbone]
        if self.backbone_cfg is not None:
            parts += [head.get_submodule('last_stage') for head in heads.values()]
        for part in parts:
            part.compile(**self.compile_cfg)

    def read_table(self, who: str) -> None:
        """Have the view table handed on to :meth:`loss`.

        Raises:
            ValueError: If the views are made in the dataset pipeline, which keeps no table.
        """
        if not hasattr(self.data_preprocessor, 'keep_table'):
            raise ValueError(
                f'{who} reads the parameters of the views, which only LeaveOneOutPreprocessor hands on: '
                f'make the views there and not in the dataset pipeline.'
            )
        self.data_preprocessor.keep_table = True

    def init_weights(self) -> None:
        """Initialise; the last stages of LooC++ each as the backbone's own would be."""
        super().init_weights()
        if self.backbone_cfg is not None:
            for space in self.spaces:
                stage = fresh_last_stage(self.backbone_cfg)
                self.neck.heads[space].last_stage.load_state_dict(stage.state_dict())

    def forward(
        self,
        inputs: Any,
        data_samples: list | None = None,
        table: ViewTable | None = None,
        labels: dict[str, Tensor] | None = None,
        mode: str = 'tensor',
    ) -> Tensor | dict[str, Tensor]:
        """MMEngine's entry: mode 'loss' is :meth:`loss`, mode 'tensor' is :meth:`extract_feat`."""
        if mode == 'loss':
            return self.loss(inputs, data_samples, table, labels)
        if mode == 'tensor':
            return self.extract_feat(inputs)
        raise ValueError(f"{type(self).__name__} got mode={mode!r}; allowed are 'loss' and 'tensor'.")

    @abstractmethod
    def loss(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: list | None = None,
        table: ViewTable | None = None,
        labels: dict[str, Tensor] | None = None,
    ) -> dict[str, Tensor]:
        """One step.

        Args:
            inputs: S + 1 views, q first, then k_0, then one key per space in order, each (B, 3, h, w).
            data_samples: Where the views come from a dataset's pipeline: their metainfo holds their names.
            table: The view table, if the model asked for it by :meth:`read_table`.
            labels: {name: (B,)} of the images, where the dataset has any.

        Returns:
            'loss', which is minimised, and figures to be watched.

        Raises:
            ValueError: If the views are not the spaces' or the batch does not suit the model.
        """

    def features(self, images: Tensor) -> Tensor:
        """What the heads read: V, (B, C), or for LooC++ the map before the last stage, (B, C', h', w')."""
        return encode(self.backbone, images, pool=self.backbone_cfg is None)

    def project_keys(self, heads: nn.ModuleDict, v: Tensor) -> Tensor:
        """k[i, j] = z_i of k_j, from the key views' features; only the pairs that Eq. 2 reads.

        Args:
            heads: By space.
            v: (S, B, C), one for each key view.

        Returns:
            (S, S, B, D); [0, j] for j > 0 is 0.
        """
        first = heads[self.spaces[0]](v[:1])  # 1 x B x D
        first = torch.cat([first, first.new_zeros(len(self.spaces) - 1, *first.shape[1:])])
        return torch.stack([first, *(heads[space](v) for space in self.spaces[1:])])

    def shared(self, table: ViewTable | None) -> Tensor | None:
        """Which keys have the query's parameters, (S, S, B), if the head masks them."""
        if not self.head.mask_false_negatives or table is None:
            return None
        return send(self.data_preprocessor.pipeline.shared(table), self.data_preprocessor.device)

    @torch.no_grad()
    def watch(self, logits: Sequence[Tensor], per_space: Tensor) -> dict[str, Tensor]:
        """What tells a person that a space has collapsed or learnt nothing.

        Args:
            logits: What :meth:`LooCLoss.logits` gave.
            per_space: (S,), the loss of each space.

        Returns:
            Per space its loss, how often the positive beats every negative (top1, percent), and the mean similarity of
            the positive and of the same-image negatives.
        """
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
        """'loss' is what is minimised; the other entries are only logged."""
        return losses['loss'], {**losses, 'loss': losses['loss'].detach()}

    def extract_feat(self, images: Tensor, spaces: Sequence[str] | None = None) -> Tensor:
        """The learnt representation.

        Args:
            images: (B, 3, h, w), normalised.
            spaces: None for V; else names of spaces, whose Z_i are concatenated in the given order. In LooC++ they
                stand for the pooled last stages of the spaces, and None for all of these.

        Returns:
            (B, C) for V, (B, D * len(spaces)) for spaces, (B, C * len(spaces)) for LooC++.

        Raises:
            ValueError: If a space is unknown.
        """
        features = self.features(images)
        if spaces is not None:
            check_spaces(spaces, self.spaces)
        if self.backbone_cfg is not None:
            heads = [self.neck.heads[space] for space in spaces or self.spaces]
            return torch.cat([head.branch(features) for head in heads], 1)
        if spaces is None:
            return features
        return torch.cat([self.neck.heads[space](features) for space in spaces], 1)

    def extract_all(self, images: Tensor) -> dict[str, Tensor]:
        """What :meth:`extract_feat` chooses from, in one pass: 'V', which LooC++ does not have, and every space."""
        features = self.features(images)
        if self.backbone_cfg is not None:
            return {space: self.neck.heads[space].branch(features) for space in self.spaces}
        return {'V': features, **{space: self.neck.heads[space](features) for space in self.spaces}}

    @property
    def representation_prefixes(self) -> tuple[str, ...]:
        """Where in the state dict the representation's weights stand when no spaces are chosen."""
        return ('backbone.',) if self.backbone_cfg is None else ('backbone.', 'neck.heads.')

    def check_views(self, inputs: Tensor | Sequence[Tensor], data_samples: list | None) -> None:
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
