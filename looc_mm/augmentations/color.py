"""Colour: jitter and grayscale as one atomic augmentation (appendix A, MoCo v2's settings).

Brightness, contrast and saturation are affine in RGB, so the steps before the hue are one 3x4 matrix
and the steps after it another; the hue between them is exact HSV.
"""

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor

from looc_mm.registry import AUGMENTATIONS

from .base import AtomicAugmentation, ImageSize, Params, check_probability, coin, fused, fuses, send, uniform

LUMA = (0.299, 0.587, 0.114)  # ITU-R 601, as PIL's and torchvision's grayscale
BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)


@AUGMENTATIONS.register_module()
class ColorJitter(AtomicAugmentation):
    """Jitter brightness, contrast, saturation and hue in a random order, then maybe drop the colour.

    Args:
        brightness: Factors come from U(max(0, 1 - b), 1 + b); ``contrast`` and ``saturation`` likewise.
        contrast: See ``brightness``; blends with the image's mean gray.
        saturation: See ``brightness``; blends with the image's gray.
        hue: Shifts come from U(-h, h), in turns of the colour circle.
        prob: Probability of the jitter.
        gray_prob: Probability of grayscale, jittered or not.

    Raises:
        ValueError: If a probability is not in [0, 1], a strength is negative, or ``hue`` exceeds 0.5.
    """

    name = 'color'

    def __init__(
        self,
        brightness: float = 0.4,
        contrast: float = 0.4,
        saturation: float = 0.4,
        hue: float = 0.1,
        prob: float = 0.8,
        gray_prob: float = 0.2,
    ) -> None:
        if min(brightness, contrast, saturation, hue) < 0 or hue > 0.5:
            raise ValueError(
                f'ColorJitter got brightness={brightness}, contrast={contrast}, saturation={saturation}, '
                f'hue={hue}; strengths are >= 0 and hue <= 0.5.'
            )
        self.strengths = (brightness, contrast, saturation)
        self.hue = hue
        self.prob = check_probability(self, prob)
        self.gray_prob = check_probability(self, gray_prob)

    def sample(self, batch_size: int, generator: torch.Generator | None, image_size: ImageSize) -> Params:
        """Draw the jitter and the grayscale.

        Returns:
            ``factors`` (B, 3) of brightness, contrast and saturation, ``hue`` (B,), ``order`` (B, 4) of the
            four steps, ``gray`` (B,) bool. Unjittered images have factors 1, hue 0 and the natural order.
        """
        low_high = [(max(0.0, 1 - strength), 1 + strength) for strength in self.strengths]
        factors = torch.stack([uniform((batch_size,), bounds, generator) for bounds in low_high], 1)
        hue = uniform((batch_size,), (-self.hue, self.hue), generator)
        order = torch.rand(batch_size, 4, generator=generator).argsort(1)
        jitter = coin(batch_size, self.prob, generator)
        return {
            'factors': torch.where(jitter[:, None], factors, 1.0),
            'hue': torch.where(jitter, hue, 0.0),
            'order': torch.where(jitter[:, None], order, torch.arange(4)),
            'gray': coin(batch_size, self.gray_prob, generator),
        }

    def identity(self, batch_size: int) -> Params:
        """Factors 1, no shift, the natural order, no gray; see :meth:`AtomicAugmentation.identity`."""
        return {
            'factors': torch.ones(batch_size, 3),
            'hue': torch.zeros(batch_size),
            'order': torch.arange(4).repeat(batch_size, 1),
            'gray': torch.zeros(batch_size, dtype=torch.bool),
        }

    def vector(self, params: Params) -> Tensor:
        """(B, 5): the three factors, the hue and whether the colour is dropped; the order is no quantity.

        Factors and hue are 0 where nothing is changed, and divided by the width of their range.
        """
        widths = torch.tensor([1 + each - max(0.0, 1 - each) for each in self.strengths] + [2 * self.hue])
        changes = torch.cat([params['factors'] - 1, params['hue'][:, None]], 1)
        return torch.cat([changes / widths.clamp_min(1e-8), params['gray'][:, None].float()], 1)

    def relation(self, params: Params, other: Params) -> Tensor:
        """(B, 4): of the factors and the hue; AugSelf does not predict whether the colour is dropped."""
        return super().relation(params, other)[:, :4]

    def words(self, params: Params) -> list[str]:
        """What is changed: 'brightness x1.2, hue +0.10, gray'; the hue in turns of the colour circle."""
        texts = []
        for factors, hue, gray in zip(*(params[key].tolist() for key in ('factors', 'hue', 'gray')), strict=True):
            named = zip(('brightness', 'contrast', 'saturation'), factors, strict=True)
            parts = [f'{name} x{factor:.2f}' for name, factor in named if factor != 1]
            texts.append(', '.join([*parts, *([f'hue {hue:+.2f}'] if hue else []), *(['gray'] if gray else [])]))
        return texts

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """One matrix, the hue, one matrix; see :meth:`AtomicAugmentation.apply`.

        Values are clipped after each of the three and not between brightness, contrast and saturation.
        """
        if fuses(images):
            return _recolour(images, *(send(params[key], images.device) for key in ('factors', 'hue', 'order', 'gray')))
        shifted = params['hue'] != 0
        others = ((params['factors'] != 1).any(1) | params['gray']) & ~shifted
        chosen = torch.cat([shifted.nonzero()[:, 0], others.nonzero()[:, 0]])
        if len(chosen) == 0:
            return images
        factors, order, gray, hue = (params[key][chosen] for key in ('factors', 'order', 'gray', 'hue'))
        where = send(chosen, images.device)
        before, after = _matrices(factors, order, gray)

        out = _affine(images[where], before)
        if first := int(shifted.sum()):
            out[:first] = shift_hue(out[:first], hue[:first])
        return images.index_copy(0, where, _affine(out, after))


@fused()
def _recolour(images: Tensor, factors: Tensor, hue: Tensor, order: Tensor, gray: Tensor) -> Tensor:
    """What :meth:`ColorJitter.apply` does, on all images at once and plane by plane, with parameters on the device.

    As compiled it reads the images three times: for their means, for the means behind the hue, for the result.
    """
    before, after = _matrices(factors, order, gray).to(images.dtype)
    planes = _mix(images.unbind(1), images.mean((2, 3)), before)
    value, chroma, lacks = _hexcone(planes, hue.to(images.dtype))
    planes = [torch.addcmul(value, chroma, lack, value=-1) for lack in lacks]
    planes = _mix(planes, torch.stack([plane.mean((1, 2)) for plane in planes], 1), after)
    changed = (hue != 0) | (factors != 1).any(1) | gray
    return torch.where(changed[:, None, None, None], torch.stack(planes, 1), images)


def _mix(planes: Sequence[Tensor], mean: Tensor, matrix: Tensor) -> list[Tensor]:
    """Mix three planes (B, H, W) and the image's mean colour (B, 3) by (B, 3, 6); clipped to [0, 1]."""
    shift = (matrix[..., 3:] * mean[:, None]).sum(-1)  # B x 3
    weight = matrix[..., None, None]
    mixed = [sum(weight[:, row, column] * planes[column] for column in range(3)) for row in range(3)]
    return [(shift[:, row, None, None] + mixed[row]).clamp(0, 1) for row in range(3)]


def _matrices(factors: Tensor, order: Tensor, gray: Tensor) -> Tensor:
    """Brightness, contrast, saturation and grayscale as two linear steps, with the hue between them.

    A contrast blends with the mean gray, which the steps before it move along with the pixels; so a step acts on
    six numbers, a pixel's colour and the image's mean colour.

    Args:
        factors: (B, 3) of brightness, contrast and saturation.
        order: (B, 4), which step comes when.
        gray: (B,) bool, where to end with grayscale.

    Returns:
        (2, B, 3, 6): the steps before the hue and the steps after it.
    """
    last = (1 - gray.float())[:, None]  # grayscale is a saturation of 0, at the end
    factor = torch.cat([factors, torch.ones_like(last)], 1).gather(1, order)  # by place
    factor = torch.cat([factor, last], 1)
    order = torch.cat([order, torch.full_like(order[:, :1], SATURATION)], 1)
    hue_at = (order == HUE).int().argmax(1, keepdim=True)
    places = torch.arange(order.shape[1], device=order.device)
    factor = torch.where(torch.stack([places < hue_at, places > hue_at]), factor, 1.0)[..., None, None]  # 2 x B x 5

    # c x + (1 - c) times the pixel's gray (saturation), the mean gray (contrast) or black (brightness)
    blend = torch.cat([(1 - factor) * share for share in LUMA], -1).expand(-1, -1, -1, 3, 3)
    of_mean = blend * (order == CONTRAST)[..., None, None]
    of_pixel = blend * (order == SATURATION)[..., None, None] + factor * torch.eye(3, device=order.device)
    pixel, mean = torch.cat([of_pixel, of_mean], -1), torch.cat([0 * of_mean, of_pixel + of_mean], -1)
    steps = torch.cat([pixel, mean], -2)  # 2 x B x 5 x 6 x 6
    return reduce(lambda first, then: then @ first, steps.unbind(2))[..., :3, :]


def _affine(images: Tensor, matrix: Tensor) -> Tensor:
    """Mix the channels of (B, 3, H, W) images and their means by (B, 3, 6); clipped to [0, 1]."""
    of_pixel, of_mean = send(matrix, images.device, images.dtype).split(3, -1)
    shift = of_mean @ images.mean((2, 3))[..., None]  # B x 3 x 1
    return torch.baddbmm(shift, of_pixel, images.flatten(2)).clamp_(0, 1).view_as(images)


def shift_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Shift the hue in HSV exactly, keeping saturation and value.

    Args:
        images: (B, 3, H, W) RGB in [0, 1].
        turns: (B,) shift in turns of the colour circle.

    Returns:
        (B, 3, H, W) RGB in [0, 1].
    """
    value, chroma, lacks = _hexcone(images.unbind(1), send(turns, images.device, images.dtype))
    out = torch.empty_like(images)
    for plane, lack in zip(out.unbind(1), lacks, strict=True):
        torch.addcmul(value, chroma, lack, value=-1, out=plane)
    return out


def _hexcone(planes: Sequence[Tensor], turns: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Value and chroma, (B, H, W), and the share of chroma that each channel lacks when the hue is shifted by (B,)."""
    red, green, blue = planes
    value = torch.maximum(torch.maximum(red, green), blue)
    least = torch.minimum(torch.minimum(red, green), blue)
    chroma = value - least
    # The hue in sixths, -3 .. 3 from red: its size is 1 + (G + B - R - min) / chroma in each of the six cases.
    hue = (green - red).add_(blue).sub_(least).div_(chroma.clamp_min(1e-8)).add_(1)
    hue.copysign_(green - blue).add_(6 * turns[:, None, None])
    hue.sub_((hue / 6).round_(), alpha=6)
    # A channel lacks chroma times how much more than one sixth, up to two, the hue is from that channel's.
    return value, chroma, [lack.clamp_(0, 1) for lack in (hue.abs().sub_(1), _lack(hue - 2), _lack(hue + 2))]


def _lack(away: Tensor) -> Tensor:
    """The distance on the circle of six, less one, of numbers in [-6, 6]; overwrites them."""
    return away.abs_().sub_(3).abs_().neg_().add_(2)
