"""View pairs of a picture with one augmentation shared, changed, or changed alone; and their parameters.

For augmentation i, the views of a picture are:

    query    x from the augmentations
    same     every x_j drawn independently of the query's, x_i the query's
    other    the same x_j as ``same``, x_i the query's of another picture, which differs
    alone    the query's x_j, and the x_i of ``other``: it differs from the query in augmentation i alone

The pictures of a split swap their x_i in couples. So each x_i occurs as often in ``same`` as in ``other``, and a
feature of one view cannot show which of the two it is: only the relation of two views can.

Shapes
    N  pictures        B  of one batch        E  numbers in the parameters of one augmentation
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from looc_mm.augmentations import (
    AtomicAugmentation,
    ColorJitter,
    GaussianBlur,
    HorizontalFlip,
    Params,
    RandomResizedCrop,
    RandomRightAngleRotation,
)
from looc_mm.augmentations.contract import EFFECT
from looc_mm.views import LeaveOneOutPipeline

#: Parameters of each augmentation, by its name.
Draw = dict[str, Params]
ROUNDS = 50  # of the search for couples with different parameters
#: Parameters with more numbers than this, such as a kernel, are not looked at one by one.
MOST_NUMBERS = 8


def standard_augmentations(size: int) -> list[AtomicAugmentation]:
    """The augmentations of an audit without a config, for views of ``size`` pixels.

    The four angles are as frequent. A random texture is not in the list: few networks were trained on such views, and
    their other values would fall too.
    """
    return [
        RandomResizedCrop(size=size, scale=(0.4, 1.0)),
        RandomRightAngleRotation(prob=0.75),
        HorizontalFlip(),
        ColorJitter(),
        GaussianBlur(sigma=(0.1, max(0.2, 2 * size / 224))),
    ]


def one_view(augmentations: Sequence[AtomicAugmentation]) -> LeaveOneOutPipeline:
    """A pipeline that makes one view of each image."""
    pipeline = LeaveOneOutPipeline(augmentations, leave_one_out=[])
    pipeline.views = ('q',)
    return pipeline


@dataclass
class Pairs:
    """The parameters of every view of N pictures.

    Attributes:
        query: Of the queries.
        key: Of the keys, independent of the query's.
        other: For each augmentation, the x_i of another picture.
        partner: For each augmentation, (N,) int64, the picture that this x_i is from; its own number, if none differs.
    """

    query: Draw
    key: Draw
    other: Draw
    partner: dict[str, Tensor]

    def same_view(self, name: str) -> Draw:
        """The key with the query's x_i."""
        return {**self.key, name: self.query[name]}

    def other_view(self, name: str) -> Draw:
        """The same key with another x_i."""
        return {**self.key, name: self.other[name]}

    def alone_view(self, name: str) -> Draw:
        """The query with this other x_i."""
        return {**self.query, name: self.other[name]}


def draw_pairs(
    pipeline: LeaveOneOutPipeline, splits: Sequence[Tensor], size: tuple[int, int], generator: torch.Generator
) -> Pairs:
    """Draw the parameters of all views.

    Args:
        pipeline: Of :func:`one_view`.
        splits: The pictures of each split, together 0 .. N - 1. Couples are within a split.
        size: Height and width of the canvases in pixels.
        generator: Of every draw.
    """
    count = sum(map(len, splits))
    query, key = (pipeline.sample(count, generator, size)['q'] for _ in range(2))
    partner = {name: couples(params, splits, generator) for name, params in query.items()}
    other = {name: rows_of(params, partner[name]) for name, params in query.items()}
    return Pairs(query, key, other, partner)


def couples(params: Params, splits: Sequence[Tensor], generator: torch.Generator) -> Tensor:
    """Couples of pictures of one split whose parameters differ.

    Returns:
        (N,) int64: the partner of each picture, whose partner it is; its own number, where no partner was found.
    """
    partner = torch.arange(sum(map(len, splits)))
    for split in splits:
        free = split
        for _ in range(ROUNDS):
            free = free[torch.randperm(len(free), generator=generator)]
            half = len(free) // 2
            left, right = free[:half], free[half : 2 * half]
            fits = differ(rows_of(params, left), rows_of(params, right))
            partner[left[fits]], partner[right[fits]] = right[fits], left[fits]
            free = torch.cat([left[~fits], right[~fits], free[2 * half :]])
            if len(free) < 2:
                break
    return partner


def differ(left: Params, right: Params) -> Tensor:
    """(B,) bool: in which rows two draws of one augmentation differ."""
    return torch.stack([(left[key] != right[key]).reshape(len(left[key]), -1).any(1) for key in left]).any(0)


def rows_of(params: Params, rows: Tensor) -> Params:
    """The parameters of some pictures."""
    return {key: value[rows] for key, value in params.items()}


def stacked(draws: Sequence[Draw], rows: Tensor) -> Draw:
    """The parameters of some pictures by several draws, one draw after the other."""
    return {
        name: {key: torch.cat([draw[name][key][rows] for draw in draws]) for key in params}
        for name, params in draws[0].items()
    }


def make_views(pipeline: LeaveOneOutPipeline, canvas: Tensor, draw: Mapping[str, Params], rows: Tensor) -> Tensor:
    """The views of some pictures.

    Args:
        pipeline: Of :func:`one_view`.
        canvas: (B, 3, H, W) uint8 RGB.
        draw: Parameters of all pictures.
        rows: (B,) which pictures the canvases show.

    Returns:
        (B, 3, h, w) float in [0, 1].
    """
    return pipeline.apply(canvas, {'q': {name: rows_of(params, rows) for name, params in draw.items()}})[0]


def same_pixels(left: Tensor, right: Tensor) -> Tensor:
    """(B,) bool: which views look the same, as two hues of a grey picture do."""
    return (left - right).abs().flatten(1).amax(1) <= EFFECT


def targets(augmentation: AtomicAugmentation, query: Params, other: Params) -> Tensor:
    """What regression predicts: the change of the parameters from ``query`` to ``alone``.

    Returns:
        (N, T) double. Differences of :meth:`AtomicAugmentation.vector`; of an augmentation with classes, such as a
        rotation, which class :meth:`AtomicAugmentation.relation` gives, as zeros and ones.
    """
    if augmentation.classes:
        relation = augmentation.relation(other, query)
        return torch.nn.functional.one_hot(relation, augmentation.classes).double()
    return (augmentation.vector(other) - augmentation.vector(query)).double()


def visible_targets(augmentation: AtomicAugmentation, canvas: Tensor, query: Params, other: Params) -> Tensor:
    """Which targets have an effect on the pixels of a picture; the hue of a grey picture has none.

    Each number of the parameters is changed alone. The targets that follow it are visible if the picture changes. An
    integer, such as an order or a choice, is no quantity and not changed.

    Args:
        augmentation: With the parameters.
        canvas: (B, 3, H, W) float in [0, 1].
        query: Parameters of the B pictures.
        other: The changed ones.

    Returns:
        (B, T) bool; all True for augmentations with classes or with more than 8 numbers.
    """
    change = targets(augmentation, query, other)
    visible = torch.ones_like(change, dtype=torch.bool)
    quantities = {key: value for key, value in query.items() if value.is_floating_point() or value.dtype == torch.bool}
    numbers = [(key, column) for key, value in quantities.items() for column in range(value[:1].numel())]
    if augmentation.classes or len(numbers) > MOST_NUMBERS or not len(canvas):
        return visible
    before, base = augmentation.apply(canvas, query), augmentation.vector(query)
    follows = torch.zeros_like(visible)
    seen = torch.zeros_like(visible)
    for key, column in numbers:
        mixed = {name: value.clone() for name, value in query.items()}
        flat = mixed[key].view(len(canvas), -1)
        flat[:, column] = other[key].reshape(len(canvas), -1)[:, column]
        moved = (augmentation.vector(mixed) != base) & torch.ones_like(visible)
        effect = ~same_pixels(augmentation.apply(canvas, mixed), before)
        follows |= moved
        seen |= moved & effect[:, None]
    return ~follows | seen
