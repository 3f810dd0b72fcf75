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
from torch import Tensor, nn

from looc_mm.augmentations.base import send
from looc_mm.channels import output_channels
from looc_mm.registry import MODELS
from looc_mm.stack import BaseSelfSupervisor
from looc_mm.views import ViewTable, view_names

from .last_stage import fresh_last_stage, take_last_stage
from .representation import encode, resolve_spaces, select
from .space_figures import SpaceFigures


class MultiHead(BaseSelfSupervisor):
    """The part that frameworks share; a framework adds where keys and negatives come from.

    Heads are made for the spaces that the data preprocessor's view pipeline declares.

    Args:
        backbone: Config of an MMPreTrain backbone whose last output is a feature map or a vector.
        neck: Config of a :class:`HeadPerSpaceNeck`, without spaces. ``in_channels`` can be left out.
        head: Config of :class:`LooCLoss`.
        data_preprocessor: Config of :class:`LeaveOneOutPreprocessor`; or, where the views are made in the
            dataset's pipeline, one that normalises a list of views.
        spaces: Only where the views are made in the dataset's pipeline: the names of its spaces.
        last_stage_per_space: LooC++ (section 3): each head has a last stage (conv5) of its own, and the
            representation is these stages' pooled outputs, concatenated.
        freeze_backbone: Train the heads alone, in LooC++ with their last stages. The backbone has no gradients, and its
            batch norm keeps its statistics.
        compile: Whether to compile the encoders by :meth:`torch.nn.Module.compile`, or its arguments. Checkpoints are
            the same. (MMEngine's own ``compile`` takes the whole step, whose draws break it into dozens of graphs.)

    Attributes:
        spaces: ``('invariant', *leave_one_out)``.
        width: C.
        figures: What shows whether the spaces learn, collected at every step.
        representation_prefixes: What the names of the weights that representations depend on begin with.

    Raises:
        ValueError: If the spaces are declared nowhere or twice, the head needs the view table where there is none, or
            the backbone cannot be split.
    """

    representation_prefixes: tuple[str, ...] = ('backbone.', 'neck.heads.')

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        head: dict,
        data_preprocessor: dict,
        spaces: Sequence[str] | None = None,
        last_stage_per_space: bool = False,
        freeze_backbone: bool = False,
        compile: bool | dict = False,
        init_cfg: dict | None = None,
    ) -> None:
        preprocessor = MODELS.build(data_preprocessor)
        side = getattr(getattr(preprocessor, 'pipeline', None), 'view_side', None)
        backbone = for_views(backbone, preprocessor, side)
        super().__init__(
            backbone=MODELS.build(backbone),
            head=MODELS.build(head),
            data_preprocessor=preprocessor,
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
        self.backbone_cfg, self.last_stage_per_space = backbone, last_stage_per_space
        self.width: int = neck.get('in_channels') or output_channels(self.backbone, side)
        stage = take_last_stage(self.backbone) if last_stage_per_space else None
        self.neck = MODELS.build({**neck, 'in_channels': self.width, 'spaces': self.spaces, 'last_stage': stage})
        self.freeze_backbone = freeze_backbone
        if freeze_backbone:
            self.backbone.requires_grad_(False)
        self.to(memory_format=torch.channels_last)  # faster convolutions on GPUs and CPUs alike
        self.compile_cfg = {} if compile is True else compile
        self.compile_encoder(self.backbone, self.neck.heads)
        self.batch_checked = False
        self.figures = SpaceFigures(self.spaces, self.view_names[1:])
        if len(self.spaces) > 1 and self.head.mask_false_negatives and self.head.same_image_negatives:
            self.request_table('LooCLoss(mask_false_negatives=True)')
        elif len(self.spaces) > 1 and declared:
            self.request_table('SpaceFigures')

    def compile_encoder(self, backbone: nn.Module, heads: nn.ModuleDict) -> None:
        """Compile a backbone, and what LooC++'s heads have of it, if the config says so."""
        if self.compile_cfg is False:
            return
        parts: list[nn.Module] = [backbone]
        if self.last_stage_per_space:
            parts += [head.get_submodule('last_stage') for head in heads.values()]
        for part in parts:
            part.compile(**self.compile_cfg)

    def train(self, mode: bool = True) -> 'MultiHead':
        """Training mode; a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.freeze_backbone:
            for each in self.backbones:
                each.eval()
        return self

    @property
    def backbones(self) -> list[nn.Module]:
        """The shared backbone and its copies."""
        return [self.backbone]

    def get_layer_depth(self, param_name: str) -> tuple[int, int]:
        """The layer of a weight, for MMPreTrain's LearningRateDecayOptimWrapperConstructor; heads are the last layer.

        Raises:
            ValueError: The backbone does not number its layers.
        """
        if not hasattr(self.backbone, 'get_layer_depth'):
            raise ValueError(
                f'{type(self.backbone).__name__} has no get_layer_depth, which layer-wise decay of the learning rate '
                f'needs. Allowed: TimmFeatures, and those of MMPreTrain that have it, such as ViT. Or leave out '
                f'optim_wrapper.constructor.'
            )
        return self.backbone.get_layer_depth(param_name, 'backbone.')

    def request_table(self, who: str) -> None:
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
        if self.last_stage_per_space:
            for space in self.spaces:
                stage = fresh_last_stage(self.backbone_cfg)
                self.neck.heads[space].last_stage.load_state_dict(stage.state_dict())

    def forward(
        self,
        inputs: Any,
        data_samples: list | None = None,
        table: ViewTable | None = None,
        mode: str = 'tensor',
    ) -> Tensor | dict[str, Tensor]:
        """MMEngine's entry: mode 'loss' is :meth:`loss`, mode 'tensor' is :meth:`extract_feat`."""
        if mode == 'loss':
            return self.loss(inputs, data_samples, table)
        if mode == 'tensor':
            return self.extract_feat(inputs)
        raise ValueError(f"{type(self).__name__} got mode={mode!r}; allowed are 'loss' and 'tensor'.")

    @abstractmethod
    def loss(
        self,
        inputs: Tensor | Sequence[Tensor],
        data_samples: list | None = None,
        table: ViewTable | None = None,
    ) -> dict[str, Tensor]:
        """One step.

        Args:
            inputs: S + 1 views, q first, then k_0, then one key per space in order, each (B, 3, h, w).
            data_samples: Where the views come from a dataset's pipeline: their metainfo holds their names.
            table: The view table, if the model asked for it by :meth:`request_table`.

        Returns:
            'loss', which is minimised, and figures to be watched.

        Raises:
            ValueError: If the views are not those of the spaces or the batch does not suit the model.
        """

    def features(self, images: Tensor) -> Tensor:
        """What the heads read: V, (B, C), or for LooC++ the map before the last stage, (B, C', h', w')."""
        return encode(self.backbone, images, pool=not self.last_stage_per_space)

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

    def same_as_query(self, table: ViewTable | None) -> Tensor | None:
        """Which keys have the query's parameters, (S, S, B); None where the views are made in the dataset pipeline."""
        if table is None or len(self.spaces) == 1:
            return None
        return send(self.data_preprocessor.pipeline.same_as_query(table), self.data_preprocessor.device)

    def watch(
        self,
        logits: Sequence[Tensor],
        per_space: Tensor,
        same_as_query: Tensor | None,
        filled: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Add a step to :attr:`figures`.

        Args:
            logits: What :meth:`LooCLoss.logits` gave.
            per_space: (S,), the loss of each space.
            same_as_query: What :meth:`same_as_query` gave.
            filled: (K,) bool, which columns of the queue hold keys; None for all.

        Returns:
            The loss of each space, for the log.
        """
        similarities = [each.detach() * self.head.temperature for each in logits]
        if filled is not None:
            for each in similarities:
                each[:, -len(filled) :].masked_fill_(~filled, -torch.inf)
        self.figures.add(similarities, self.head.same_image_negatives, same_as_query)
        return {f'loss_{space}': loss.detach() for space, loss in zip(self.spaces, per_space, strict=True)}

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """'loss' is what is minimised; the other entries are only logged."""
        return losses['loss'], {**losses, 'loss': losses['loss'].detach()}

    @property
    def representation_names(self) -> list[str]:
        """What :meth:`representations` gives."""
        return [*([] if self.last_stage_per_space else ['V']), *self.spaces]

    def representations(self, images: Tensor) -> dict[str, Tensor]:
        """V and the embedding Z_i of every space, in one pass; in LooC++ the pooled last stage of every space.

        Args:
            images: (B, 3, h, w), normalised.

        Returns:
            'V' to (B, C) and every space to (B, D); in LooC++ every space to (B, C).
        """
        features = self.features(images)
        if self.last_stage_per_space:
            return {space: self.neck.heads[space].branch(features) for space in self.spaces}
        return {'V': features, **{space: self.neck.heads[space](features) for space in self.spaces}}

    def extract_feat(self, images: Tensor, spaces: Sequence[str] | None = None) -> Tensor:
        """MMPreTrain's name for one representation.

        Args:
            images: (B, 3, h, w), normalised.
            spaces: None for V; else names of spaces, which are concatenated in the given order.

        Returns:
            (B, C).

        Raises:
            ValueError: If a space is unknown.
        """
        (names,) = resolve_spaces(self, None if spaces is None else ['+'.join(spaces)]).values()
        return select(self.representations(images), names)

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


def for_views(backbone: dict, preprocessor: nn.Module, side: int | None) -> dict:
    """The config of a backbone for views, if its class has a method ``for_views``; else the config as it is.

    Args:
        backbone: Its config.
        preprocessor: Makes and normalises the views.
        side: Of the views in pixels; None if it is not known.

    Raises:
        ValueError: The backbone cannot take these views.
    """
    kind: Any = backbone.get('type')
    kind = MODELS.get(kind) if isinstance(kind, str) else kind
    return kind.for_views(backbone, preprocessor, side) if hasattr(kind, 'for_views') else backbone
