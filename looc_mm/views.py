"""View generation (section 3): the view table and the views that it describes.

Shapes
    n  spaces that leave one augmentation out      S = n + 1  spaces, the invariant one first
    B  images in the batch                         V = S + 1  views: q, k_0, and k_i for each space
    H, W  the canvas                               h, w  a view
    C  channels of the pictures, 3 for RGB
"""

from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import groupby
from typing import Any

import numpy as np
import torch
from torch import Tensor

from looc_mm.augmentations import AtomicAugmentation, GeometricAugmentation, Params, StylizedTexture
from looc_mm.augmentations.base import ImageSize, apply_to_channels, fuses, size_per_image, warp
from looc_mm.augmentations.contract import refuse_broken
from looc_mm.augmentations.names import INVARIANT, check_names
from looc_mm.registry import AUGMENTATIONS, TRANSFORMS
from looc_mm.stack import BaseTransform
from looc_mm.strategies import STRATEGIES, ViewTable, copy_from_query

CPU_CHUNK = 2_000_000  # numbers in the views that are made at a time, about a core's share of the caches


def view_names(spaces: Sequence[str]) -> tuple[str, ...]:
    """Names of the views that belong to some spaces: 'q', 'k_0', and 'k_<name>' for each but the invariant one."""
    return ('q', 'k_0', *(f'k_{space}' for space in spaces[1:]))


def unit_range(canvas: Tensor) -> Tensor:
    """A uint8 canvas as float32 in [0, 1]; a float one as float32."""
    return canvas.float() / 255 if canvas.dtype == torch.uint8 else canvas.float()


def to_rgb(images: Tensor) -> Tensor:
    """What people see of pictures with any number of channels: the first three, or the first one as grey.

    Args:
        images: (..., C, H, W) uint8, or float in [0, 1].

    Returns:
        (..., 3, H, W) float32 in [0, 1].
    """
    shown = images[..., :3, :, :] if images.shape[-3] >= 3 else images[..., :1, :, :]
    return unit_range(shown).expand(*shown.shape[:-3], 3, *shown.shape[-2:])


@TRANSFORMS.register_module()
class LeaveOneOutPipeline(BaseTransform):
    """Augment each image into a query, an independent key k_0, and one key k_i per space.

    Key k_i shares exactly the parameters of the i-th augmentation with the query; everything else of every
    view is drawn independently. With no space left out this is MoCo v2: q and k_0.

    On a device it works on a whole canvas batch (:meth:`sample`, :meth:`apply`). In a dataset's pipeline
    it is a transform of one image: ``results['img']`` becomes the list of views and ``results['views']``
    their names.

    Args:
        augmentations: In order of application: configs or instances of registered augmentations.
        leave_one_out: Names of the augmentations that get a space, in the order of the spaces.
            None takes every augmentation that owns one.
        strategy: What the keys of the spaces have from the query, a name in :mod:`looc_mm.strategies`.
        same: Names of augmentations whose parameters every key has from the query, with or without a space.

    Attributes:
        spaces: ``('invariant', *leave_one_out)``.
        views: Names of the views: 'q', 'k_0', and 'k_<name>' for each space.

    Raises:
        ValueError: If the list is empty, two augmentations have one name, a space has no owner, ``StylizedTexture``
            is not the first, the strategy is unknown, or an augmentation of another package breaks its contract.
    """

    def __init__(
        self,
        augmentations: Sequence[dict | AtomicAugmentation],
        leave_one_out: Sequence[str] | None = None,
        strategy: str = 'leave_one_out',
        same: Sequence[str] = (),
    ) -> None:
        self.augmentations: list[AtomicAugmentation] = [
            AUGMENTATIONS.build(each) if isinstance(each, dict) else each for each in augmentations
        ]
        names = [each.name for each in self.augmentations]
        owners = [each.name for each in self.augmentations if each.owns_space]
        check_names(names, owners, leave_one_out)
        if late := [each.name for each in self.augmentations[1:] if isinstance(each, StylizedTexture)]:
            raise ValueError(f'{late} choose from candidates of the whole image: put it first among {names}.')
        if strategy not in STRATEGIES:
            raise ValueError(f'LeaveOneOutPipeline got strategy={strategy!r}; allowed are {sorted(STRATEGIES)}.')
        if isinstance(same, str) or not set(same) <= set(names):
            raise ValueError(f'LeaveOneOutPipeline got same={same!r}; it is a list of names among {names}.')
        for each in self.augmentations:
            refuse_broken(each)
        self.strategy, self.same = strategy, tuple(same)
        self.spaces = (INVARIANT, *(owners if leave_one_out is None else leave_one_out))
        self.views = view_names(self.spaces)

    def sample(self, batch_size: int, generator: torch.Generator | None, image_size: ImageSize) -> ViewTable:
        """Draw the view table.

        Args:
            batch_size: B.
            generator: Source of every draw, on the CPU; None is torch's global one.
            image_size: Size of the original images, a pair (height, width) or (B, 2).

        Returns:
            ``table[view][augmentation]``: parameters with leading dimension B, on the CPU.

        Raises:
            ValueError: If an augmentation's parameters are not one per image.
        """
        table: ViewTable = {view: {} for view in self.views}
        size: ImageSize = size_per_image(image_size, batch_size).repeat(len(self.views), 1)
        for augmentation in self.augmentations:
            drawn = augmentation.sample(len(self.views) * batch_size, generator, size)
            lengths = {key: len(value) for key, value in drawn.items()}
            expected = len(self.views) * batch_size
            if set(lengths.values()) - {expected}:
                raise ValueError(
                    f'{augmentation.name!r} sampled parameters of lengths {lengths} where {expected} images '
                    f'were asked for; each must have that leading dimension.'
                )
            for index, view in enumerate(self.views):
                rows = slice(index * batch_size, (index + 1) * batch_size)
                table[view][augmentation.name] = {key: value[rows] for key, value in drawn.items()}
            size = augmentation.output_size(size)
        by_name = {each.name: each for each in self.augmentations}
        STRATEGIES[self.strategy](table, [by_name[space] for space in self.spaces[1:]])  # x_i of k_i is x_i of q
        copy_from_query(table, self.same)
        return table

    def apply(self, canvas: Tensor, table: ViewTable, candidates: Tensor | None = None) -> Tensor:
        """Make the views that a table describes; draws nothing.

        Args:
            canvas: (B, C, H, W), RGB for C = 3, uint8 or float in [0, 1].
            table: What :meth:`sample` gave.
            candidates: (B, K, C, H, W) like the canvas, from which ``StylizedTexture`` chooses; not read without it.

        Returns:
            (S + 1, B, C, h, w) float32 in [0, 1]: q, k_0, then one key per space in order.
        """
        height, width = self.view_size(canvas.shape[-2:])
        batch, channels = canvas.shape[:2]
        if canvas.device.type != 'cpu':
            return self._apply(canvas, table, candidates).contiguous()
        # On a CPU the whole batch at once would leave its caches at every step: 2-4 times slower.
        step = max(1, CPU_CHUNK // (len(self.views) * channels * height * width))
        out = torch.empty(len(self.views), batch, channels, height, width)
        for start in range(0, batch, step):
            rows = slice(start, start + step)
            some = None if candidates is None else candidates[rows]
            out[:, rows] = self._apply(canvas[rows], _rows(table, rows), some)
        return out

    def _apply(self, canvas: Tensor, table: ViewTable, candidates: Tensor | None) -> Tensor:
        first, *augmentations = self.augmentations
        if isinstance(first, StylizedTexture):  # before the conversion to float, which then is of the chosen only
            chosen = [first.apply(canvas, table[view][first.name], candidates) for view in self.views]
            views = unit_range(torch.stack(chosen))
        else:
            images = unit_range(canvas).contiguous()
            views = images.expand(len(self.views), *images.shape)  # V x B x C x H x W, no copy
            augmentations = self.augmentations
        for geometric, group in groupby(augmentations, lambda each: isinstance(each, GeometricAugmentation)):
            if geometric:
                views = self._warp(views, table, group)
                continue
            for augmentation in group:
                flat = apply_to_channels(augmentation, views.flatten(0, 1), self._params(table, augmentation))
                views = flat.unflatten(0, (len(self.views), -1))
        return views

    def view_size(self, size: ImageSize) -> tuple[int, int]:
        """(h, w) of the views from the canvas's."""
        for augmentation in self.augmentations:
            size = augmentation.output_size(size)
        return int(size[0]), int(size[1])

    @property
    def view_side(self) -> int | None:
        """Side of the views in pixels; None if they are not square, or their size follows from the canvas's."""
        sides = {side for canvas in (1000, 1001) for side in self.view_size((canvas, canvas))}
        return sides.pop() if len(sides) == 1 else None

    def _params(self, table: ViewTable, augmentation: AtomicAugmentation) -> Params:
        """Parameters of one augmentation for all views, each (V * B, ...)."""
        rows = [table[view][augmentation.name] for view in self.views]
        return {key: torch.cat([row[key] for row in rows]) for key in rows[0]}

    def _warp(self, views: Tensor, table: ViewTable, group: Iterable[Any]) -> Tensor:
        """Apply neighbouring geometric augmentations as one sampling."""
        size: ImageSize = views.shape[-2:]
        matrices = []
        for augmentation in group:
            matrices.append(augmentation.matrix(self._params(table, augmentation)).double())
            size = augmentation.output_size(size)
        height, width = (int(side) for side in size)
        # Each takes its output to its input, so the first augmentation's matrix acts last.
        matrix = reduce(torch.matmul, matrices).unflatten(0, (len(self.views), -1))  # V x B x 3 x 3
        if fuses(views):
            return warp(views, matrix, (height, width))  # reads the one canvas for all views
        return torch.stack([warp(view, each, (height, width)) for view, each in zip(views, matrix, strict=True)])

    def same_as_query(self, table: ViewTable) -> Tensor:
        """Which keys have the query's parameters of which augmentation, on purpose or by chance.

        Args:
            table: What :meth:`sample` gave.

        Returns:
            (S, S, B) bool, on the table's device: [i, j] says that k_j is drawn with the i-th augmentation as q
            is. Those with j != i are false negatives of Eq. 2. Row 0 is False: the invariant space has none.
        """
        keys = self.views[1:]
        same = [
            [_equal(table[key][space], table['q'][space]) for key in keys] for space in self.spaces[1:]
        ]  # n x S x B
        like = next(iter(table['q'][self.augmentations[0].name].values()))
        rows = [torch.zeros(len(keys), len(like), dtype=torch.bool, device=like.device)]
        return torch.stack(rows + [torch.stack(row) for row in same])

    def words(self, table: ViewTable) -> dict[str, list[str]]:
        """What was done to make each view, for a person.

        Args:
            table: What :meth:`sample` gave.

        Returns:
            For each view, B texts: what each augmentation says of its parameters, in order, without those that left
            the image alone.
        """
        said = {view: [each.words(row[each.name]) for each in self.augmentations] for view, row in table.items()}
        return {
            view: [', '.join(filter(None, texts)) for texts in zip(*lists, strict=True)] for view, lists in said.items()
        }

    def transform(self, results: dict) -> dict:
        """Turn ``results['img']``, one (H, W, 3) uint8 BGR image, into a list of such views.

        The views' names go to ``results['views']``. Put :class:`LoadCanvas` before it: the crop samples four
        pixels for one, so from a large photograph it would alias. Draws come from torch's global generator, which a
        dataloader seeds for every worker when the worker starts: set ``persistent_workers=True``, or every
        epoch repeats the draws of the first.
        """
        image = results['img']
        if image.shape[2] != 3:
            raise ValueError(
                f'LeaveOneOutPipeline got a picture with {image.shape[2]} channels. In a dataset it takes RGB. '
                'Make these views on the device, in a MultiChannelPreprocessor.'
            )
        canvas = torch.from_numpy(np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1)))[None]
        size = results.get('ori_shape', image.shape[:2])
        views = self.apply(canvas, self.sample(1, None, size))[:, 0]
        pixels = (views * 255).round_().byte().flip(1).permute(0, 2, 3, 1).contiguous().numpy()
        results['img'], results['views'] = list(pixels), self.views
        return results

    def __repr__(self) -> str:
        """Name the augmentations and the spaces."""
        return f'{type(self).__name__}(augmentations={self.augmentations}, spaces={self.spaces})'


def _equal(left: Params, right: Params) -> Tensor:
    """(B,) bool: all parameters of the sample are equal."""
    return torch.stack([(left[key] == value).reshape(len(value), -1).all(1) for key, value in right.items()]).all(0)


def _rows(table: ViewTable, rows: slice) -> ViewTable:
    """The same table for some of the batch's images."""
    return {
        view: {name: {key: value[rows] for key, value in params.items()} for name, params in row.items()}
        for view, row in table.items()
    }
