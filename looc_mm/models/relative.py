"""What the relatives of LooC need to know of the augmentations: their parameters as numbers."""

import torch
from torch import Tensor, nn

from looc_mm.augmentations.base import send
from looc_mm.views import LeaveOneOutPipeline, ViewTable


def vector_widths(pipeline: LeaveOneOutPipeline) -> dict[str, int]:
    """How many numbers :func:`vectors` gives for each augmentation."""
    table = pipeline.sample(1, torch.Generator().manual_seed(0), (224, 224))
    return {each.name: each.vector(table['q'][each.name]).shape[1] for each in pipeline.augmentations}


def vectors(pipeline: LeaveOneOutPipeline, table: ViewTable, view: str, device: torch.device) -> dict[str, Tensor]:
    """The parameters of one view, {augmentation: (B, P)}."""
    return {each.name: send(each.vector(table[view][each.name]), device) for each in pipeline.augmentations}


def mlp(in_channels: int, hid_channels: int, out_channels: int, layers: int = 3) -> nn.Sequential:
    """Linear layers with ReLU between them."""
    widths = [in_channels, *[hid_channels] * (layers - 1), out_channels]
    parts: list[nn.Module] = []
    for before, after in zip(widths[:-1], widths[1:], strict=True):
        parts += [nn.Linear(before, after), nn.ReLU(inplace=True)]
    return nn.Sequential(*parts[:-1])
