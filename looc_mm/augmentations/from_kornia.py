"""Any of kornia's augmentations of single images as an atomic one, batched as kornia is."""

from typing import Any

import torch
from torch import Tensor

from looc_mm.registry import AUGMENTATIONS

from .base import Params, send
from .columns import Refusal
from .replay import ReplayedAugmentation
from .replay_check import PICTURES, ROUNDING, SIZES, describe, pictures

RECORDS = ('batch_prob', 'forward_input_shape')  # kornia's coin, which is not used, and the shape of the batch
GROUPS = 16
ODD_BATCH = 7  # no parameter of a whole batch has as many rows


@AUGMENTATIONS.register_module()
class FromKornia(ReplayedAugmentation):
    """``dict(type='FromKornia', transform='RandomPlanckianJitter', mode='CIED', p=0.5)``.

    Kornia draws for a whole batch and obeys given parameters, so nothing loops over images. What it draws once for a
    batch (the order of ColorJitter's steps) is here drawn for each of 16 groups that the images are dealt to at random,
    and recorded for each image. Refused are containers, 3D and mixing augmentations, those whose parameters point at
    other images of the batch (RandomChannelDropout), and the settings ``same_on_batch``, ``p_batch``, ``keepdim``.

    Where an image alone comes out rounded otherwise than in its batch (RandomElasticTransform, RandomJPEG), it is made
    alone: slower, but the same at every position in the batch.

    See :class:`ReplayedAugmentation` for the other arguments, the parameters and the errors.
    """

    module = 'kornia.augmentation'
    install = 'pip install kornia==0.9.0'

    def _why_not(self, kind: type[Any]) -> str | None:
        from kornia.augmentation import AugmentationBase2D

        if not issubclass(kind, AugmentationBase2D):
            return (
                'it is no augmentation of single images, as containers, 3D and mixing ones are not; use those it holds'
            )
        if kind.__name__.endswith('Base2D'):
            return 'it is a base class'
        return None

    def _check_settings(self, settings: dict[str, Any]) -> None:
        if shared := sorted({'same_on_batch', 'p_batch', 'keepdim'} & set(settings)):
            raise ValueError(f'{shared} would make images depend on their batch, or change its shape')

    def _learn(self) -> list[tuple[int, int]]:
        self._per_batch: set[str] = set()
        self._alone = False
        try:
            with self._seeded(0):
                drawn = self._drawn_for(ODD_BATCH, SIZES[-1][0])
        except Exception as error:  # kornia's
            raise Refusal(f'drawing gave {describe(error)}') from error
        if odd := [key for key, value in drawn.items() if not isinstance(value, Tensor)]:
            raise Refusal(f'its parameters {odd} are no tensors')
        self._per_batch = {key for key, value in drawn.items() if value.ndim == 0 or len(value) != ODD_BATCH}
        sizes = super()._learn()
        for size in sizes:
            self._compare_alone(size)
        return sizes

    def _compare_alone(self, size: tuple[int, int]) -> None:
        """Images of several draws together, and each alone.

        Raises:
            Refusal: If they differ by more than rounding.
        """
        images = pictures(size).repeat(2, 1, 1, 1)
        draws = []
        for seed in (1, 2):
            with self._seeded(seed):
                draws.append(self._draw(torch.tensor(size).expand(PICTURES, 2)))
        if any(draws[0][key].shape != value.shape for key, value in draws[1].items()):
            raise Refusal('its parameters have a shape that is drawn; fix it by a setting, if there is one')
        params = {key: torch.cat([value, draws[1][key]]) for key, value in draws[0].items()}
        together = self._obey(images, params)
        try:
            rows = torch.arange(len(images))[:, None]
            alone = torch.cat(
                [self._obey(images[row], {key: value[row] for key, value in params.items()}) for row in rows]
            )
        except IndexError as error:
            raise Refusal('its parameters point at other images of the batch') from error
        distance = (together - alone).abs().max().item()
        if distance > ROUNDING:
            raise Refusal(f'an image comes out another (by {distance:.2g}) alone than in its batch')
        self._alone |= distance > 0

    def _drawn_for(self, batch_size: int, size: tuple[int, int]) -> Params:
        drawn = self.transform.forward_parameters((batch_size, 3, *size))
        return {key: value for key, value in drawn.items() if key not in RECORDS}

    def _draw(self, size: Tensor, pictures: Tensor | None = None) -> Params:
        count = len(size)
        first = (int(size[0, 0]), int(size[0, 1]))
        if self.in_pixels and (size != size[0]).any():
            raise ValueError(
                f'{self.kind} draws in pixels, for images of one size; got {size.unique(dim=0).tolist()}. '
                f'Put it behind a crop or resize of fixed size.'
            )
        if not self._per_batch:
            return {key: value.detach() for key, value in self._drawn_for(count, first).items()}
        groups = []
        for part in torch.arange(count).chunk(GROUPS):
            group = self._drawn_for(len(part), first)
            spread = {key: group[key].expand(len(part), *group[key].shape) for key in self._per_batch}
            groups.append({**group, **spread})
        dealt = torch.randperm(count)
        return {key: torch.cat([group[key] for group in groups])[dealt] for key in groups[0]}

    def _obey(self, images: Tensor, params: Params) -> Tensor:
        if self._alone:
            groups = list(torch.arange(len(images))[:, None])
        elif self._per_batch:
            keys = torch.cat([params[key].flatten(1).double() for key in sorted(self._per_batch)], 1)
            _, group = keys.unique(dim=0, return_inverse=True)
            groups = [(group == number).nonzero()[:, 0] for number in range(int(group.max()) + 1)]
        else:
            return self._call(images, params)
        out: Tensor | None = None
        for rows in groups:
            where = send(rows, images.device)
            made = self._call(images[where], {key: value[rows] for key, value in params.items()})
            out = made.new_empty(len(images), *made.shape[1:]) if out is None else out
            out[where] = made
        assert out is not None
        return out

    def _call(self, images: Tensor, params: Params) -> Tensor:
        drawn = {key: value[0] if key in self._per_batch else value for key, value in params.items()}
        drawn['batch_prob'] = torch.ones(len(images))
        drawn['forward_input_shape'] = torch.tensor(images.shape)
        return self.transform(images, params=drawn)
