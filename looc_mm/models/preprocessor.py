"""From a canvas batch to normalised views, on the model's device."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import get_rank
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from looc_mm.augmentations.base import fused
from looc_mm.randomness import step_generator
from looc_mm.registry import MODELS, TRANSFORMS
from looc_mm.views import LeaveOneOutPipeline, unit_range


@MODELS.register_module()
class LeaveOneOutPreprocessor(BaseDataPreprocessor):
    """Makes the views of section 3 from what the workers decoded, and normalises them.

    In training a (B, 3, H, W) uint8 RGB canvas becomes (S + 1, B, 3, h, w) float32 views. Else it becomes
    one plain normalised batch. The views of an iteration depend on
    (seed, rank, iteration) alone.

    Args:
        pipeline: Config or instance of :class:`LeaveOneOutPipeline`: the one place where augmentations
            and spaces are declared.
        mean: Per RGB channel, for values in [0, 1]. ImageNet's.
        std: Per RGB channel, for values in [0, 1]. ImageNet's.

    Attributes:
        keep_table: Whether the view table is handed on to the model, which sets this if it reads the table.
        extra: A pipeline of one more view of each canvas, independent of the others; a model that needs it sets this.

    Raises:
        ValueError: ``mean`` or ``std`` is not for values in [0, 1].
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        pipeline: dict | LeaveOneOutPipeline,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
    ) -> None:
        check_statistics(mean, std)
        super().__init__(non_blocking=True)
        self.pipeline: LeaveOneOutPipeline = TRANSFORMS.build(pipeline) if isinstance(pipeline, dict) else pipeline
        self.keep_table = False
        self.extra: LeaveOneOutPipeline | None = None
        self.register_buffer('mean', torch.tensor(mean).view(3, 1, 1), False)
        self.register_buffer('std', torch.tensor(std).view(3, 1, 1), False)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Make the model's input.

        Args:
            data: ``inputs``: (B, 3, H, W) uint8 RGB canvases; ``image_size``: (B, 2) of the original images (left out:
                the canvas's); ``candidates``: (B, K, 3, H, W) uint8 RGB, if ``StylizedTexture`` chooses from them.
                Other entries, such as labels, are not read.
            training: Whether to make views.

        Returns:
            ``inputs``: the views, or the plain batch. In training also ``table``, the view table, if ``keep_table`` is
            set, and ``extra``, (B, 3, h', w'), if that is.

        Raises:
            ValueError: If the inputs are no such canvases.
        """
        canvas = data['inputs']
        self._check(canvas)
        # train_step preprocesses inside autocast; views want float32.
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            size = data.get('image_size', canvas.shape[-2:])
            canvas = canvas.to(self.device, non_blocking=self._non_blocking)
            if not training:
                return {'inputs': self.normalise(unit_range(canvas))}
            candidates = data.get('candidates')
            if candidates is not None:
                candidates = candidates.to(self.device, non_blocking=self._non_blocking)
            generator = step_generator(get_rank())
            table = self.pipeline.sample(len(canvas), generator, size)
            views = self.normalise(self.pipeline.apply(canvas, table, candidates))
            kept: dict[str, Any] = {'table': table} if self.keep_table else {}
            if self.extra is not None:
                table = self.extra.sample(len(canvas), generator, size)
                kept['extra'] = self.normalise(self.extra.apply(canvas, table, candidates))[0]
            return {'inputs': views, **kept}

    def _check(self, canvas: Any) -> None:
        """Refuse what is no batch of canvases."""
        if not isinstance(canvas, Tensor) or canvas.ndim != 4 or canvas.shape[1] != 3:
            got = tuple(canvas.shape) if isinstance(canvas, Tensor) else f'{type(canvas).__name__} of {len(canvas)}'
            raise ValueError(
                f'LeaveOneOutPreprocessor takes one (B, 3, H, W) canvas batch and got {got}. End the dataset pipeline '
                "by LoadCanvas and PackCanvas and set train_dataloader.collate_fn=dict(type='default_collate')."
            )

    def normalise(self, images: Tensor) -> Tensor:
        """Subtract the mean and divide by the deviation, for (..., 3, h, w) images in [0, 1]."""
        if images.ndim == 4:
            return _normalise(images[None], self.mean, self.std)[0]
        return _normalise(images, self.mean, self.std)


def check_statistics(mean: Sequence[float], std: Sequence[float]) -> None:
    """Refuse statistics that are not three numbers for values in [0, 1].

    Raises:
        ValueError: They are not.
    """
    for name, values, fit in (
        ('mean', mean, all(0 <= value <= 1 for value in mean)),
        ('std', std, all(0 < value <= 1 for value in std)),
    ):
        if len(values) != 3 or not fit:
            in_bytes = max(values, default=0) > 1
            raise ValueError(
                f'LeaveOneOutPreprocessor got {name}={list(values)}; allowed are three numbers '
                f'{"above 0" if name == "std" else "from 0"} up to 1, for the channels red, green and blue of pixels '
                f'in [0, 1]{": divide by 255" if in_bytes else ""}.'
            )


@fused(batch=1)
def _normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """(V, B, 3, h, w) images, (3, 1, 1) statistics."""
    return (images - mean) / std
