"""Tries another library's transform on pictures: whether it can be replayed needs no list of the library's names.

Shapes
    N  pictures        H, W  height and width in pixels
"""

import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .base import Params
from .columns import Refusal

PICTURES = 3
#: Two unequal sizes, not square; if a transform fails on these, two for which a crop of 224 pixels is no problem.
SIZES = (((64, 56), (144, 176)), ((512, 448), (480, 576)))
ROUNDING = 1 / 255  # results this far beyond [0, 1] are rounding, not another range
TRIES = 16  # draws, in one of which a transform has to change a picture


@dataclass
class Subject:
    """A library's transform.

    Attributes:
        draw: Parameters for sizes (N, 2), and pictures of content that must not matter or None.
        obey: Images from images (N, 3, H, W) and parameters.
        seeded: Starts every source of randomness at a seed, for the length of a `with`.
        state: What changes with every draw from these sources.
        clip: Whether results are clipped to [0, 1] anyhow.
    """

    draw: Callable[[Tensor, Tensor | None], Params]
    obey: Callable[[Tensor, Params], Tensor]
    seeded: Callable[[int], AbstractContextManager[None]]
    state: Callable[[], Any]
    clip: bool


@dataclass
class Finding:
    """What trying found: parameters for pictures of a size, the result's size, whether any picture was changed."""

    params: Params
    size: tuple[int, int]
    out_size: tuple[int, int]
    acts: bool


def find(subject: Subject) -> list[Finding]:
    """Try it on pictures of two sizes.

    Raises:
        Refusal: If it cannot be replayed; the text says why.
    """
    for sizes in SIZES:
        try:
            return [_try(subject, size) for size in sizes]
        except Refusal:
            raise
        except Exception as error:  # whatever the library raises
            failure = error
    raise Refusal(f'on float RGB images of {sizes[0]} it gave {describe(failure)}') from failure


def _try(subject: Subject, size: tuple[int, int]) -> Finding:
    """Draw and apply; every way to break the contract of an atomic augmentation has its Refusal."""
    images = pictures(size)
    sizes = torch.tensor(size).expand(PICTURES, 2)

    def draw(seed: int, content: Tensor | None = None) -> Params:
        with subject.seeded(seed):
            return subject.draw(sizes, content)

    params = draw(0)
    if not same(params, draw(0)):
        raise Refusal('it draws from a random source of its own')
    if not same(params, draw(0, images)):
        raise Refusal('what it draws depends on what the image shows')
    outs = []
    for seed in (1, 2):
        with subject.seeded(seed):
            before = subject.state()
            outs.append(subject.obey(images.clone(), params))
            if subject.state() != before:
                raise Refusal('it draws while it transforms, not before')
        draw(seed)  # nor may it remember a later draw
    out = outs[0]
    if out.ndim != 4 or out.shape[:2] != images.shape[:2] or not out.is_floating_point():
        raise Refusal(f'it makes {tuple(out.shape)} {out.dtype} from {tuple(images.shape)} {images.dtype}')
    low, high = out.min().item(), out.max().item()
    if not out.isfinite().all() or (not subject.clip and (low < -ROUNDING or high > 1 + ROUNDING)):
        raise Refusal(f'it makes values in [{low:.3g}, {high:.3g}] from images in [0, 1]; clip=True clips them')
    if not torch.equal(out, outs[1]):
        raise Refusal('it gives another image when it is applied again')
    acts = any(not torch.equal(subject.obey(images.clone(), draw(seed)), images) for seed in range(TRIES))
    return Finding(params, size, (out.shape[-2], out.shape[-1]), acts)


def pictures(size: tuple[int, int]) -> Tensor:
    """(N, 3, H, W) of slopes in [0, 1], one of full range and paler ones."""
    coarse = torch.rand(PICTURES, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    smooth = F.interpolate(coarse, size, mode='bilinear', align_corners=False)
    low, high = smooth.amin((2, 3), keepdim=True), smooth.amax((2, 3), keepdim=True)
    contrast = torch.linspace(1, 0.5, PICTURES).view(-1, 1, 1, 1)
    return ((smooth - low) / (high - low) * contrast + (1 - contrast) / 2).clamp(0, 1)


def global_states() -> tuple[Tensor, Any, Any]:
    """The states of torch's, numpy's and Python's global generators."""
    return torch.default_generator.get_state(), np.random.get_state(), random.getstate()


def same(left: Params, right: Params) -> bool:
    """Whether parameters are equal in every image."""
    return left.keys() == right.keys() and all(torch.equal(value, right[key]) for key, value in left.items())


def describe(error: Exception) -> str:
    """A library's error on one line."""
    return f'{type(error).__name__}: {" ".join(str(error).split())[:300]}'
