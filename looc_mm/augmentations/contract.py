"""The rules of the contract of an atomic augmentation, each a function that finds what breaks it.

:func:`looc_mm.testing.check_augmentation` tries all of them. A pipeline tries the quick ones on each augmentation of
another package before a training begins.
"""

import copy
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from .base import AtomicAugmentation, GeometricAugmentation, Params
from .names import check_names

OTHER_SEEDS = 8
MANY_DRAWS = 64  # of as many parameters as there are images: a fault of one draw in fifty is found
TOLERANCE = 1e-3  # between devices, on a scale of [0, 1]
IDENTITY_TOLERANCE = 1e-4  # bilinear sampling at the pixels' own places: 1.3e-5 on a photograph of 224 x 224
EFFECT = 1e-3  # an image that changes by less, on a scale of [0, 1], looks the same


def broken_rules(
    augmentation: AtomicAugmentation,
    images: Tensor,
    seed: int = 0,
    device: str | torch.device | None = None,
    rules: 'Sequence[Rule] | None' = None,
    crashes: bool = True,
) -> list[str]:
    """The rules that an augmentation breaks, each with what was found.

    Args:
        augmentation: As of :func:`looc_mm.testing.check_augmentation`.
        images: (B, 3, H, W) float32 RGB in [0, 1], B > 1.
        seed: Of the parameters that are drawn.
        device: Where the result must be as on the CPU; None tries no device.
        rules: By default all, :data:`RULES`.
        crashes: Whether an error that the augmentation raises breaks a rule.
    """
    case = _Case(augmentation, images, seed, device)
    broken: dict[str, str] = {}
    seen = set()
    for rule in RULES if rules is None else rules:
        try:
            found = list(rule(case))
        except (Exception, SystemExit) as error:  # from somebody else's code; an error of many rules is shown once
            crash = f'{type(error).__name__}: {error}'
            found = [crash] if crashes and crash not in seen else []
            seen.add(crash)
        if found:
            broken[rule.__name__] = f'- {rule.__name__}: {rule.__doc__}\n  Got: ' + '; '.join(found)
        if 'parameters' in broken:
            break  # the rules behind it read them
    return list(broken.values())


def refuse_broken(augmentation: AtomicAugmentation) -> None:
    """Try the quick rules on an augmentation of another package, once in a process.

    An error that it raises is left to the training, whose images may have the size that it needs.

    Raises:
        ValueError: It breaks a rule.
    """
    key = type(augmentation), repr(augmentation)
    if type(augmentation).__module__.split('.')[0] == 'looc_mm' or key in _tried:
        return
    if broken := broken_rules(augmentation, colourful(), rules=QUICK, crashes=False):
        raise ValueError(
            f'{augmentation} cannot be trained with:\n' + '\n'.join(broken) + '\nlooc_mm.testing.check_augmentation '
            'checks every rule.'
        )
    _tried.add(key)


def colourful(batch_size: int = 8, size: int = 64) -> Tensor:
    """Smooth colourful images without files, (B, 3, size, size) in [0, 1], each channel from 0 to 1."""
    generator = torch.Generator().manual_seed(0)
    across, down, phase = (3 * torch.rand(3, batch_size, 3, 1, 1, generator=generator)).unbind()
    place = torch.linspace(0, 2 * torch.pi, size)
    waves = torch.sin(across * place + down * place[:, None] + 2 * phase)
    low, high = waves.amin((2, 3), keepdim=True), waves.amax((2, 3), keepdim=True)
    return (waves - low) / (high - low)


_tried: set[tuple[type, str]] = set()


@dataclass
class _Case:
    """What the rules look at: one augmentation and the images to try it on."""

    augmentation: AtomicAugmentation
    images: Tensor
    seed: int
    device: str | torch.device | None

    def sample(self, offset: int = 0, pair: bool = False) -> Params:
        height, width = self.images.shape[-2:]
        size = (height, width) if pair else torch.tensor([[height, width]]).expand(len(self.images), 2)
        generator = torch.Generator().manual_seed(self.seed + offset)
        return self.augmentation.sample(len(self.images), generator, size)

    def apply(self, params: Params, rows: list[int] | None = None) -> Tensor:
        if rows is None:
            return self.augmentation.apply(self.images.clone(), params)
        return self.augmentation.apply(self.images[rows], {key: value[rows] for key, value in params.items()})


Rule = Callable[[_Case], Iterator[str]]


def declaration(case: _Case) -> Iterator[str]:
    """`name` is a string that can name a space, `owns_space` a bool."""
    name, owns_space = getattr(case.augmentation, 'name', None), getattr(case.augmentation, 'owns_space', None)
    if not isinstance(owns_space, bool):
        yield f'owns_space = {owns_space!r}'
    if not isinstance(name, str) or not name:
        yield f'name = {name!r}'
        return
    try:
        check_names([name], [], None)
    except ValueError as error:
        yield str(error)


def parameters(case: _Case) -> Iterator[str]:
    """`sample` returns a dict of CPU tensors, at least one, each with leading dimension B."""
    params = case.sample()
    if not isinstance(params, dict) or not params:
        yield f'{type(params).__name__} {params!r}'
        return
    for key, value in params.items():
        if not isinstance(value, Tensor):
            yield f'{key!r} is a {type(value).__name__}'
        elif value.device.type != 'cpu':
            yield f'{key!r} is on {value.device}'
        elif value.ndim == 0 or len(value) != len(case.images):
            yield f'{key!r} has shape {tuple(value.shape)} for a batch of {len(case.images)}'


def generator(case: _Case) -> Iterator[str]:
    """`sample` draws from the given generator alone; None is torch's global one."""
    before, params = _states(), case.sample()
    yield from _changed(before)
    if not _same(params, case.sample()):
        yield 'other parameters from a generator of the same seed'
    if all(_same(params, case.sample(1 + offset)) for offset in range(OTHER_SEEDS)):
        yield f'the same parameters from generators of {1 + OTHER_SEEDS} different seeds'
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(case.seed)
        size = tuple(case.images.shape[-2:])
        if not _same(params, case.augmentation.sample(len(case.images), None, size)):
            yield 'other parameters from generator=None after torch.manual_seed of the same seed'


def image_sizes(case: _Case) -> Iterator[str]:
    """`sample` and `output_size` take a pair (height, width) and a tensor (B, 2) alike."""
    if not _same(case.sample(), case.sample(pair=True)):
        yield 'other parameters from a pair than from a tensor of equal rows'
    pair = tuple(case.images.shape[-2:])
    one, many = (case.augmentation.output_size(size) for size in (pair, torch.tensor([pair, pair])))
    if (torch.as_tensor(one) != torch.as_tensor(many)).any():
        yield f'output_size is {one} for a pair and {many} for a tensor of equal rows'


def result(case: _Case) -> Iterator[str]:
    """`apply` gives float RGB in [0, 1] of the images' dtype and number and of `output_size`."""
    out = case.apply(case.sample())
    side = case.augmentation.output_size(tuple(case.images.shape[-2:]))
    shape = (len(case.images), 3, int(side[0]), int(side[1]))
    if out.shape != shape:
        yield f'shape {tuple(out.shape)} where {shape} is expected'
    if out.dtype != case.images.dtype:
        yield f'{out.dtype} from {case.images.dtype}'
    if not out.isfinite().all():
        yield f'{int((~out.isfinite()).sum())} values that are not finite'
    elif out.min() < 0 or out.max() > 1:
        yield f'values in [{out.min():.4g}, {out.max():.4g}]'


def every_result(case: _Case) -> Iterator[str]:
    """`apply` gives values in [0, 1] in every draw."""
    if list(result(case)):
        return
    for offset in range(MANY_DRAWS):
        out = case.apply(case.sample(OTHER_SEEDS + offset))
        if not ((out >= 0) & (out <= 1)).all():  # NaN is neither
            wrong = int((~((out >= 0) & (out <= 1))).sum())
            yield f'{wrong} values that are not finite or not in [0, 1], in draw {offset + 1} of {MANY_DRAWS}'
            return


def effect(case: _Case) -> Iterator[str]:
    """`apply` changes at least one image of several draws."""
    for offset in range(OTHER_SEEDS):
        params = case.sample(offset)
        for images in (case.images, 0.25 + 0.5 * case.images):  # the contrast of the first may be full
            out = case.augmentation.apply(images.clone(), params)
            if out.shape != images.shape or (out - images).abs().max() > EFFECT:
                return
    yield f'no image changes by more than {EFFECT} in {OTHER_SEEDS} draws of {len(case.images)} images'


def reads_the_images(case: _Case) -> Iterator[str]:
    """`apply` gives other images from other images."""
    params = case.sample()
    if torch.equal(case.apply(params), case.augmentation.apply(1 - case.images, params)):
        yield 'the same images from the negatives of the images'


def apply_draws_nothing(case: _Case) -> Iterator[str]:
    """`apply` leaves the states of torch's, numpy's and Python's global generators alone."""
    params, before = case.sample(), _states()
    case.apply(params)
    yield from _changed(before)


def pure(case: _Case) -> Iterator[str]:
    """`apply` changes neither the images nor the parameters that it is given."""
    images, params = case.images.clone(), case.sample()
    given = copy.deepcopy(params)
    case.augmentation.apply(images, params)
    if not torch.equal(images, case.images):
        yield 'images changed in place'
    if not _same(params, given):
        yield 'parameters changed in place'


def replay(case: _Case) -> Iterator[str]:
    """`apply` gives bitwise the same images from the same parameters."""
    params = case.sample()
    yield from _differs(case.apply(copy.deepcopy(params)), case.apply(copy.deepcopy(params)))


def coin_flip_recorded(case: _Case) -> Iterator[str]:
    """All that `apply` does follows from the parameters: whatever was drawn since changes nothing."""
    params = case.sample()
    first = case.apply(copy.deepcopy(params))
    for offset in range(OTHER_SEEDS):
        case.sample(1 + offset)
        if found := list(_differs(first, case.apply(copy.deepcopy(params)))):
            yield f'after another call of sample, {found[0]}'
            return


def json_round_trip(case: _Case) -> Iterator[str]:
    """Parameters that went through JSON give bitwise the same images."""
    params = case.sample()
    text = json.dumps({key: value.tolist() for key, value in params.items()})
    read = {key: torch.tensor(value, dtype=params[key].dtype) for key, value in json.loads(text).items()}
    yield from _differs(case.apply(params), case.apply(read))


def any_batch(case: _Case) -> Iterator[str]:
    """An image comes out bitwise the same alone, in its batch, and in the batch turned round."""
    params = case.sample()
    together = case.apply(params)
    for row in range(len(together)):
        for got in _differs(together[row : row + 1], case.apply(params, [row])):
            yield f'image {row} alone: {got}'
            return
    for got in _differs(together.flip(0), case.apply(params, list(range(len(together)))[::-1])):
        yield f'turned round: {got}'


def matrix(case: _Case) -> Iterator[str]:
    """The `matrix` of a geometric augmentation is (B, 3, 3), floating-point and finite."""
    if not isinstance(case.augmentation, GeometricAugmentation):
        return
    got = case.augmentation.matrix(case.sample())
    if got.shape != (len(case.images), 3, 3) or not got.is_floating_point():
        yield f'shape {tuple(got.shape)}, {got.dtype}'
    elif not got.isfinite().all():
        yield 'values that are not finite'


def identity(case: _Case) -> Iterator[str]:
    """`identity`, where it is defined, gives parameters like those of `sample`, which leave images alone."""
    try:
        got = case.augmentation.identity(len(case.images))
    except NotImplementedError:
        return
    described = [
        {key: (tuple(value.shape), value.dtype) for key, value in each.items()} for each in (got, case.sample())
    ]
    if described[0] != described[1]:
        yield f'{described[0]} where sample gives {described[1]}'
        return
    pair = tuple(case.images.shape[-2:])
    if torch.as_tensor(case.augmentation.output_size(pair)).tolist() != list(pair):
        return  # no parameters keep an image that is to leave in another size
    distance = (case.apply(got) - case.images).abs().max().item()
    if not distance <= IDENTITY_TOLERANCE:
        yield f'images changed by up to {distance:.2g}'


def channels(case: _Case) -> Iterator[str]:
    """With `all_channels`, `apply` takes any number of channels and gives as many."""
    if not case.augmentation.all_channels:
        return
    params = case.sample()
    for count in (1, 5):
        images = case.images[:, [channel % 3 for channel in range(count)]]
        found = case.augmentation.apply(images.clone(), params).shape[1]
        if found != count:
            yield f'{found} channels from {count}'


def devices(case: _Case) -> Iterator[str]:
    """`apply` gives on a device, with parameters on the CPU, what it gives on the CPU."""
    if case.device is None:
        return
    params = case.sample()
    out = case.augmentation.apply(case.images.to(case.device), params)
    if out.device.type != torch.device(case.device).type:
        yield f'images on {out.device} from images on {case.device}'
    elif (distance := (out.cpu() - case.apply(params)).abs().max().item()) > TOLERANCE:
        yield f'a difference of {distance:.2g} on {case.device}; allowed is {TOLERANCE}'


RULES: tuple[Rule, ...] = (
    declaration,
    parameters,
    generator,
    image_sizes,
    result,
    every_result,
    effect,
    reads_the_images,
    apply_draws_nothing,
    pure,
    replay,
    coin_flip_recorded,
    json_round_trip,
    any_batch,
    matrix,
    identity,
    channels,
    devices,
)
#: Those that settings such as prob=0 cannot break, and that a training cannot survive.
QUICK: tuple[Rule, ...] = (parameters, result, apply_draws_nothing, pure, replay)


def _states() -> dict[str, Any]:
    """The states of the global generators."""
    _, keys, *rest = cast(tuple[Any, ...], np.random.get_state())
    return {'torch': torch.get_rng_state().tolist(), 'numpy': (keys.tolist(), rest), 'random': random.getstate()}


def _changed(before: dict[str, Any]) -> Iterator[str]:
    for library, state in _states().items():
        if state != before[library]:
            yield f"a draw from {library}'s global generator"


def _same(left: Params, right: Params) -> bool:
    return left.keys() == right.keys() and all(torch.equal(value, right[key]) for key, value in left.items())


def _differs(left: Tensor, right: Tensor) -> Iterator[str]:
    if left.shape != right.shape:
        yield f'shape {tuple(right.shape)} where {tuple(left.shape)} is expected'
    elif not torch.equal(left, right):
        yield f'images that differ by up to {(left - right).abs().max():.2g}'
