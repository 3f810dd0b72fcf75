"""Another library's transform as an atomic augmentation: what can be replayed is, what cannot is refused by name.

Shapes
    B  images in the batch        N  those of them that the coin chose        H, W  height and width in pixels
"""

import difflib
import importlib
import inspect
import random
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from looc_mm.registry import snake_case

from .base import AtomicAugmentation, ImageSize, Params, check_probability, coin, own_identity, size_per_image
from .columns import GIVEN, Columns, Refusal
from .replay_check import SIZES, Subject, describe, find, global_states, same

OURS = ('applied', 'image_size')
DRAWS = 32  # to learn the structure of a library's parameters from


class ReplayedAugmentation(AtomicAugmentation):
    """A transform of another library, found by its name; subclasses say how that library draws and obeys.

    Whether it can be replayed is tried when it is made. Its parameters are the library's own, one tensor each, zeros
    where the coin leaves the image alone, and

    - ``applied`` (B,) bool, the coin;
    - ``image_size`` (B, 2), of transforms that draw in pixels (a translation, an erased box): the size they were drawn
      for, the only one they can be applied to. In a pipeline that is right behind a crop or resize of fixed size.

    A transform that draws a field as large as the image (noise, an elastic displacement) has that field as its
    parameter. That is exact, but large: some floats per pixel, view and image.

    Pictures that are not RGB need ``all_channels`` in the config: True for a change of places, False for one of colour.

    Args:
        transform: Name of the transform in the library.
        name: Of its space; by default the transform's without 'Random', in snake case ('RandomRGBShift': 'rgb_shift').
        owns_space: Whether it gets a space of its own.
        clip: Clip results that leave [0, 1], which otherwise are a reason to refuse the transform.
        **settings: The transform's own. ``p`` is the coin's, drawn and recorded here; by default the library's, or 1.

    Raises:
        ImportError: If the library is not installed.
        ValueError: If there is no such transform, it does not take these settings, or it cannot be replayed.
    """

    module: str  # where the library keeps its transforms
    install: str  # how to get it
    all_channels: bool | None = None

    def __init__(
        self, transform: str, name: str | None = None, owns_space: bool = True, clip: bool = False, **settings: Any
    ) -> None:
        self.kind = transform
        self.name = space_name(transform) if name is None else name
        self.owns_space, self.clip = owns_space, clip
        kind = self._find(transform)
        accepted = inspect.signature(kind).parameters
        own_p = 'p' in accepted and not self._is_coin(kind)
        default = accepted['p'].default if 'p' in accepted else 1.0
        self.prob = check_probability(self, 1.0 if own_p else settings.pop('p', default))
        always = {'p': 1.0} if 'p' in accepted and not own_p else {}
        try:
            any_name = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in accepted.values())
            if (unknown := sorted(set(settings) - set(accepted))) and not any_name:  # some libraries only warn
                raise TypeError(f'{unknown} unknown')
            self._check_settings(settings)
            self.transform = kind(**settings, **always)
        except Exception as error:  # whatever the library makes of wrong settings
            raise ValueError(
                f'{type(self).__name__}: {transform} does not take {settings}, it gave {describe(error)}. It has the '
                f'settings {sorted({*accepted, "p"} - {"kwargs", "args"})}.'
            ) from error
        self.in_pixels = False  # until it is tried
        self.fixed_size: tuple[int, int] | None = None
        self.neutral: Params | None = None
        try:
            self._learn()
        except Refusal as refusal:
            raise self._refuse(str(refusal)) from refusal.__cause__

    # What a library's adapter defines

    @abstractmethod
    def _why_not(self, kind: type[Any]) -> str | None:
        """Why a class of the library's module is no transform to replay, if that can be seen without trying."""

    @abstractmethod
    def _draw(self, size: Tensor, pictures: Tensor | None = None) -> Params:
        """Parameters for images of the sizes (N, 2), of no content or, to try whether it matters, of the given one."""

    @abstractmethod
    def _obey(self, images: Tensor, params: Params) -> Tensor:
        """Transform all of the images (N, 3, H, W) by the parameters of :meth:`_draw`."""

    def _is_coin(self, kind: type[Any]) -> bool:
        """Whether a setting ``p`` is the chance of the whole transform."""
        return True

    def _check_settings(self, settings: dict[str, Any]) -> None:
        """Raise an error if settings prevent replaying."""

    @contextmanager
    def _seeded(self, seed: int) -> Iterator[None]:
        """Every source that the library draws from starts at the seed, and is afterwards what it was."""
        before = global_states()
        try:
            torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the devices too
            np.random.seed(seed)
            random.seed(seed)
            yield
        finally:
            torch.default_generator.set_state(before[0])
            np.random.set_state(before[1])
            random.setstate(before[2])

    def _state(self) -> Any:
        """Something that changes with every draw from those sources."""
        torch_state, numpy_state, random_state = global_states()
        return torch_state.tolist(), numpy_state[1].tolist(), numpy_state[2:], random_state

    # The contract of an atomic augmentation

    def sample(self, batch_size: int, generator: torch.Generator | None, image_size: ImageSize) -> Params:
        """Flip the coin, and let the library draw for the images that it chose.

        Raises:
            ValueError: If the parameters of images of different sizes would differ in shape.
        """
        applied = coin(batch_size, self.prob, generator)
        seed = int(torch.randint(2**32, (), generator=generator))
        size = size_per_image(image_size, batch_size)
        rows = applied.nonzero()[:, 0]
        try:
            with self._seeded(seed):
                drawn = self._draw(size[rows] if len(rows) else size[:1])  # at least one, which gives the shapes
        except Refusal as refusal:
            raise self._refuse(f'{refusal} (images of {size[rows].unique(dim=0).tolist()})') from refusal
        params = {'applied': applied}
        if self.in_pixels:
            params['image_size'] = torch.where(applied[:, None], size, 0)
        for key, value in drawn.items():
            params[key] = value.new_zeros(batch_size, *value.shape[1:])
            params[key][rows] = value[: len(rows)]
        return params

    def identity(self, batch_size: int) -> Params:
        """Not applied, zeros; see :meth:`AtomicAugmentation.identity`.

        Raises:
            NotImplementedError: If the transform changes the image's size, or its parameters' shape depends on it.
        """
        if self.fixed_size is not None or self.neutral is None:
            why = (
                "changes the image's size"
                if self.fixed_size
                else "has parameters of a shape that is the image's size's"
            )
            raise NotImplementedError(f'{self.kind} {why}: none of them leave images of every size alone.')
        return {key: value.new_zeros(batch_size, *value.shape[1:]) for key, value in self.neutral.items()}

    def words(self, params: Params) -> list[str]:
        """The name and the library's parameters where the coin chose; see :meth:`AtomicAugmentation.words`."""
        drawn = {key: value for key, value in params.items() if key not in (*OURS, GIVEN)}
        texts = super().words(drawn) if drawn else [self.name] * len(params['applied'])
        return [text or self.name if chosen else '' for text, chosen in zip(texts, params['applied'], strict=True)]

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Let the library transform the images that the coin chose; see :meth:`AtomicAugmentation.apply`.

        Raises:
            ValueError: If the parameters are in pixels of images of another size.
        """
        rows = params['applied'].nonzero()[:, 0]
        if len(rows) == 0:
            return images
        here = torch.tensor(images.shape[-2:])
        if self.in_pixels and (params['image_size'][rows] != here).any():
            sizes = params['image_size'][rows].unique(dim=0).tolist()
            raise ValueError(
                f'{self.kind} draws in pixels: its parameters are for images of {sizes}, applied to images of '
                f'{here.tolist()}. Put it behind a crop or resize of fixed size.'
            )
        where = rows.to(images.device, non_blocking=True)
        chosen = {key: value[rows] for key, value in params.items() if key not in OURS}
        out = self._obey(images[where], chosen).to(images.dtype).clamp(0, 1)
        return out if len(rows) == len(images) else images.index_copy(0, where, out)

    def output_size(self, image_size: ImageSize) -> ImageSize:
        """The fixed size that the transform was made with, or the images' own."""
        if self.fixed_size is None:
            return image_size
        if isinstance(image_size, Tensor) and image_size.ndim == 2:
            return torch.tensor(self.fixed_size).repeat(len(image_size), 1)
        return self.fixed_size

    def __repr__(self) -> str:
        """Name the transform as its library does, and the coin."""
        own = ''.join(f', {key}={value!r}' for key, value in own_identity(self).items())
        return f'{type(self).__name__}({self.transform}, p={self.prob}{own})'

    # What is found out when it is made

    def _refuse(self, why: str) -> ValueError:
        return ValueError(f'{type(self).__name__} cannot replay {self.kind}: {why}.')

    def _find(self, transform: str) -> type[Any]:
        try:
            module = importlib.import_module(self.module)
        except ImportError as error:
            raise ImportError(
                f'{type(self).__name__} needs {self.module.split(".")[0]}, importing which gave: {error}. '
                f'Get it by: {self.install}'
            ) from error
        kinds = {key: value for key, value in vars(module).items() if inspect.isclass(value)}
        if transform not in kinds:
            allowed = sorted(key for key, value in kinds.items() if self._why_not(value) is None)
            close = difflib.get_close_matches(transform, allowed)
            hint = f' Did you mean {" or ".join(close)}?' if close else ''
            raise ValueError(f'{type(self).__name__} got transform={transform!r}.{hint} Allowed are {allowed}.')
        if why := self._why_not(kinds[transform]):
            raise self._refuse(why)
        return kinds[transform]

    def _learn(self) -> list[tuple[int, int]]:
        """Try the transform.

        Returns:
            Sizes of the pictures that it was tried on.

        Raises:
            Refusal: If it cannot be replayed.
        """
        one, two = find(Subject(self._draw, self._obey, self._seeded, self._state, self.clip))
        if clash := sorted(set(OURS) & set(one.params)):
            raise Refusal(f'its parameters {clash} have names that are taken')
        if not (one.acts or two.acts):
            raise Refusal('it leaves every image as it was, with these settings')
        self.in_pixels = not same(one.params, two.params)
        if (one.out_size, two.out_size) != (one.size, two.size):
            if one.out_size != two.out_size:
                raise Refusal(
                    f'it makes images of {one.out_size} and {two.out_size} from those of {one.size} and {two.size}'
                )
            if self.prob < 1:
                raise Refusal(f'it changes the size, so that no image can be left alone at p={self.prob}; give p=1')
            self.fixed_size = one.out_size
        # Even where it fits the small pictures, a large crop only has a choice on large ones.
        sizes = (one.size, SIZES[-1][-1])
        if self.owns_space and (self.prob == 0 or (self.prob == 1 and not any(map(self._varies, sizes)))):
            raise Refusal(
                f'nothing is random at p={self.prob}, so that its space would have nothing to distinguish; '
                f'give 0 < p < 1, or owns_space=False'
            )
        if all(value.shape == two.params[key].shape for key, value in one.params.items()):
            neutral = self.sample(1, torch.Generator().manual_seed(0), one.size)
            self.neutral = {key: value[:0] for key, value in neutral.items()}
        return [one.size, two.size]

    def _varies(self, size: tuple[int, int]) -> bool:
        first, *others = (self.sample(8, torch.Generator().manual_seed(seed), size) for seed in range(4))
        return not all(same(first, other) for other in others)


class PerImageAugmentation(ReplayedAugmentation):
    """One of a library that draws for an image at a time, a dict of whatever."""

    @abstractmethod
    def _draw_one(self, size: tuple[int, int], picture: Tensor | None) -> dict[str, Any]:
        """What the library draws for an image of a size, a constant one or the given one (3, H, W)."""

    @abstractmethod
    def _obey_one(self, image: Tensor, drawn: dict[str, Any]) -> Tensor:
        """Transform one image (3, H, W)."""

    def _learn(self) -> list[tuple[int, int]]:
        for sizes in SIZES:
            try:
                with self._seeded(0):
                    self._columns = Columns([self._draw_one(sizes[0], None) for _ in range(DRAWS)])
                break
            except Refusal:
                raise
            except Exception as error:  # the library's
                failure = error
        else:
            raise Refusal(f'on float RGB images of {sizes[0]} it gave {describe(failure)}') from failure
        return super()._learn()

    def _draw(self, size: Tensor, pictures: Tensor | None = None) -> Params:
        rows: list[Tensor | None] = [None] * len(size) if pictures is None else list(pictures)
        return self._columns.encode(
            [self._draw_one((h, w), row) for (h, w), row in zip(size.tolist(), rows, strict=True)]
        )

    def _obey(self, images: Tensor, params: Params) -> Tensor:
        trees = self._columns.decode(params, len(images), images.device)
        made = [self._obey_one(image, tree) for image, tree in zip(images, trees, strict=True)]
        if odd := [type(each).__name__ for each in made if not isinstance(each, Tensor)]:
            raise Refusal(f'it makes a {odd[0]} of an image')
        if len({each.shape for each in made}) > 1:
            raise Refusal(f'the size of its results is drawn: {sorted({tuple(each.shape[-2:]) for each in made})}')
        return torch.stack(made)


def space_name(transform: str) -> str:
    """'RandomRGBShift' as 'rgb_shift'."""
    return snake_case(transform.removeprefix('Random'))
