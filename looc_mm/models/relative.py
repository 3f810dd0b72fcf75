"""What the relatives of LooC need to know of the augmentations: their parameters as numbers."""

import torch
from torch import Tensor, nn

from looc_mm.augmentations import AtomicAugmentation
from looc_mm.augmentations.base import send
from looc_mm.views import LeaveOneOutPipeline, ViewTable


def example(pipeline: LeaveOneOutPipeline) -> ViewTable:
    """A table of one image, to read widths from."""
    return pipeline.sample(1, torch.Generator().manual_seed(0), (224, 224))


def named(who: str, argument: str, names: object, pipeline: LeaveOneOutPipeline) -> list[AtomicAugmentation]:
    """The augmentations of these names, in their order.

    Raises:
        ValueError: If it is no list, it is empty, or the pipeline lacks a name.
    """
    known = {each.name: each for each in pipeline.augmentations}
    if not isinstance(names, list | tuple) or not names or not set(names) <= set(known):
        raise ValueError(f'{who} got {argument}={names!r}; it is a list of names among {list(known)}.')
    return [known[name] for name in names]


def vector(augmentation: AtomicAugmentation, table: ViewTable, view: str) -> Tensor:
    """The parameters of one view as numbers, (B, P); a mirrored view has the centre of its crop mirrored."""
    numbers = augmentation.vector(table[view][augmentation.name])
    return _mirrored(augmentation, numbers, 1 - 2 * numbers[:, 0], table, view)


def relation(augmentation: AtomicAugmentation, table: ViewTable, view: str, other: str) -> Tensor:
    """What :meth:`AtomicAugmentation.relation` gives; that of crops is seen as the first view shows the image."""
    found = augmentation.relation(table[view][augmentation.name], table[other][augmentation.name])
    return found if augmentation.classes else _mirrored(augmentation, found, -2 * found[:, 0], table, view)


def _mirrored(augmentation: AtomicAugmentation, numbers: Tensor, change: Tensor, table: ViewTable, view: str) -> Tensor:
    """Numbers of a crop whose first, x, changes where the view is mirrored; other augmentations' as they are."""
    if augmentation.name != 'crop' or 'flip' not in table[view]:
        return numbers
    x = numbers[:, 0] + change * table[view]['flip']['flip']
    return torch.cat([x[:, None], numbers[:, 1:]], 1)


def to_device(tensor: Tensor, like: Tensor) -> Tensor:
    """A tensor of the view table on another's device."""
    return send(tensor, like.device)


def mlp(in_channels: int, hid_channels: int, out_channels: int, layers: int, last_norm: bool = False) -> nn.Sequential:
    """Linear layers with batch norm and ReLU between them, and batch norm behind the last if asked for."""
    widths = [in_channels, *[hid_channels] * (layers - 1)]
    parts: list[nn.Module] = []
    for before, after in zip(widths[:-1], widths[1:], strict=True):
        parts += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after), nn.ReLU(inplace=True)]
    parts.append(nn.Linear(hid_channels, out_channels, bias=not last_norm))
    return nn.Sequential(*parts, *([nn.BatchNorm1d(out_channels)] if last_norm else []))
