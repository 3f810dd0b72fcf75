"""Colour: jitter and grayscale as one atomic augmentation (appendix A, MoCo v2's settings).

Brightness, contrast and saturation are affine in RGB, so whatever stands before the hue is one 3x4 matrix
and whatever stands behind it another; the hue between them is exact HSV.
"""

import torch
from torch import Tensor

from looc_mm.registry import AUGMENTATIONS

from .base import AtomicAugmentation, ImageSize, Params, check_probability, coin, uniform

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
        """(B, 5): the three factors, the hue and whether the colour is dropped; the order is no quantity."""
        return torch.cat([params['factors'], params['hue'][:, None], params['gray'][:, None].float()], 1)

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """One matrix, the hue, one matrix; see :meth:`AtomicAugmentation.apply`.

        Values are clipped after each of the three and not between brightness, contrast and saturation.
        """
        jittered = (params['factors'] != 1).any(1) | (params['hue'] != 0)
        chosen = (jittered | params['gray']).nonzero()[:, 0]
        if len(chosen) == 0:
            return images
        factors, order, gray, hue = (params[key][chosen] for key in ('factors', 'order', 'gray', 'hue'))
        where = chosen.to(images.device, non_blocking=True)
        hue_at = (order == HUE).int().argmax(1)

        out = images[where]
        out = _affine(out, factors, order, torch.arange(4) < hue_at[:, None])
        shifted = hue.nonzero()[:, 0]
        if len(shifted):
            rows = shifted.to(images.device, non_blocking=True)
            out.index_copy_(0, rows, shift_hue(out[rows], hue[shifted]))
        out = _affine(out, factors, order, torch.arange(4) > hue_at[:, None], gray)
        return images.index_copy(0, where, out)


def _affine(images: Tensor, factors: Tensor, order: Tensor, active: Tensor, gray: Tensor | None = None) -> Tensor:
    """Apply the active ones of the ordered brightness, contrast and saturation steps as one matrix.

    Args:
        images: (B, 3, H, W).
        factors: (B, 3) of brightness, contrast and saturation.
        order: (B, 4), which step comes when.
        active: (B, 4) bool, which places of the order to apply.
        gray: (B,) bool, where to end with grayscale.

    Returns:
        (B, 3, H, W), clipped to [0, 1].
    """

    def put(tensor: Tensor) -> Tensor:
        return tensor.to(images.device, images.dtype, non_blocking=True)

    factor = torch.cat([factors, torch.ones_like(factors[:, :1])], 1).gather(1, order)  # by place
    factor = torch.where(active, factor, 1.0)
    eye, luma = put(torch.eye(3)), put(torch.tensor(LUMA))
    to_gray = luma.expand(3, 3)
    # A step is c x + (1 - c) (s gray(x) + m mean_gray): s = 1 for saturation, m = 1 for contrast.
    kind = put(torch.stack([order == SATURATION, order == CONTRAST], -1))
    factor = put(factor)[..., None]

    matrix = eye.expand(len(images), 3, 3)
    shift = images.new_zeros(len(images), 3)
    mean = images.mean((2, 3))  # B x 3, carried through the steps
    for place in range(order.shape[1]):
        c, s, m = factor[:, place], kind[:, place, :1], kind[:, place, 1:]
        step = c[..., None] * eye + ((1 - c) * s)[..., None] * to_gray  # B x 3 x 3
        step_shift = (1 - c) * m * (mean @ luma)[:, None]  # B x 1
        matrix = step @ matrix
        shift = (step @ shift[..., None])[..., 0] + step_shift
        mean = (step @ mean[..., None])[..., 0] + step_shift
    if gray is not None:
        drop = put(gray)[:, None, None]
        last = (1 - drop) * eye + drop * to_gray
        matrix, shift = last @ matrix, (last @ shift[..., None])[..., 0]
    out = torch.baddbmm(shift[..., None], matrix, images.flatten(2))
    return out.clamp_(0, 1).view_as(images)


def shift_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Shift the hue in HSV exactly, keeping saturation and value.

    Args:
        images: (B, 3, H, W) RGB in [0, 1].
        turns: (B,) shift in turns of the colour circle.

    Returns:
        (B, 3, H, W) RGB in [0, 1].
    """
    red, green, blue = images.unbind(1)  # B x H x W
    value = images.amax(1)
    chroma = value - images.amin(1)
    sixth = torch.where(
        value == red, green - blue, torch.where(value == green, blue - red, red - green)
    ) / chroma.clamp_min(1e-8)
    sixth += torch.where(value == red, 0.0, torch.where(value == green, 2.0, 4.0))  # hue in sixths, -1 .. 5
    sixth += 6 * turns.to(images.device, images.dtype, non_blocking=True)[:, None, None]
    channels = []
    for offset in (5, 3, 1):
        place = (sixth + offset).remainder(6)
        channels.append(value - chroma * torch.minimum(place, 4 - place).clamp_(0, 1))
    return torch.stack(channels, 1)
