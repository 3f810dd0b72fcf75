"""Gaussian blur, separable, with its own width for every image."""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from looc_mm.registry import AUGMENTATIONS

from .base import AtomicAugmentation, ImageSize, Params, check_probability, coin, fused, fuses, send, uniform

NARROW = 1e-3  # a standard deviation in pixels whose kernel is exactly 1 in the middle


@AUGMENTATIONS.register_module()
class GaussianBlur(AtomicAugmentation):
    """Blur by a Gaussian (MoCo v2's third augmentation).

    Args:
        prob: Probability of a blur.
        sigma: Range of the standard deviation in pixels of the image that is blurred. MoCo v2 gives
            (0.1, 2) for 224 px views; scale it with the view's size.

    Raises:
        ValueError: If ``prob`` is not in [0, 1] or ``sigma`` is not 0 < low <= high.
    """

    name = 'blur'
    owns_space = False
    all_channels = True

    def __init__(self, prob: float = 0.5, sigma: Sequence[float] = (0.1, 2.0)) -> None:
        self.prob = check_probability(self, prob)
        if not 0 < sigma[0] <= sigma[1]:
            raise ValueError(f'GaussianBlur got sigma={tuple(sigma)}; need 0 < low <= high, in pixels.')
        self.sigma = tuple(sigma)

    def sample(self, batch_size: int, generator: torch.Generator | None, image_size: ImageSize) -> Params:
        """Draw ``sigma`` (B,) in pixels; 0 where the coin says no blur."""
        sigma = uniform((batch_size,), self.sigma, generator)
        return {'sigma': sigma * coin(batch_size, self.prob, generator)}

    def words(self, params: Params) -> list[str]:
        """The standard deviation: 'blur 1.2 px'."""
        return [f'blur {sigma:.2g} px' if sigma else '' for sigma in params['sigma'].tolist()]

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Convolve rows, then columns, with the edge pixel repeated; see :meth:`AtomicAugmentation.apply`."""
        sigma, channels = params['sigma'], images.shape[1]
        radius = min(math.ceil(3 * self.sigma[1]), *(side - 1 for side in images.shape[-2:]))
        if fuses(images):
            kernel = send(_kernel(sigma.clamp_min(NARROW), radius)[:, radius:], images.device, images.dtype)
            return _along_columns(_along_rows(images, kernel), kernel)
        chosen = sigma.nonzero()[:, 0]
        if len(chosen) == 0:
            return images
        kernel = send(_kernel(sigma[chosen], radius), images.device, images.dtype).repeat_interleave(channels, 0)
        where = send(chosen, images.device)

        blurred = images[where].flatten(0, 1)[None]  # 1 x CN x H x W
        blurred = F.pad(blurred, (radius, radius, radius, radius), mode='replicate')
        if images.device.type == 'cpu':  # where one kernel per channel is twice as fast on pixels whose channels adjoin
            blurred = blurred.contiguous(memory_format=torch.channels_last)
        blurred = F.conv2d(blurred, kernel[:, None, None, :], groups=len(kernel))
        blurred = F.conv2d(blurred, kernel[:, None, :, None], groups=len(kernel)).clamp_(0, 1)
        return images.index_copy(0, where, blurred[0].unflatten(0, (-1, channels)))


def _kernel(sigma: Tensor, radius: int) -> Tensor:
    """Gaussian weights, (N, 2 * radius + 1), that add up to 1."""
    offsets = torch.arange(-radius, radius + 1)
    return torch.softmax(-0.5 * (offsets / sigma[:, None]) ** 2, 1)


@fused()
def _along_rows(images: Tensor, half: Tensor) -> Tensor:
    """Convolve the rows of (B, C, H, W), with the edge pixels repeated on all four sides.

    Args:
        images: (B, C, H, W).
        half: (B, r + 1), the symmetric kernel from its middle on.

    Returns:
        (B, C, H + 2r, W).
    """
    radius, width = half.shape[1] - 1, images.shape[-1]
    padded = F.pad(images, (radius, radius, radius, radius), mode='replicate')
    return _weighted(half, lambda offset: padded[..., radius + offset :][..., :width])


@fused()
def _along_columns(padded: Tensor, half: Tensor) -> Tensor:
    """Convolve the columns of what :func:`_along_rows` gives; (B, C, H, W) in [0, 1]."""
    radius = half.shape[1] - 1
    height = padded.shape[-2] - 2 * radius
    return _weighted(half, lambda offset: padded[..., radius + offset :, :][..., :height, :]).clamp(0, 1)


def _weighted(half: Tensor, shifted: Callable[[int], Tensor]) -> Tensor:
    """The sum of shifted images, each side of the middle under the same weights, (B, r + 1)."""
    middle, *weights = half[:, :, None, None, None].unbind(1)
    out = middle * shifted(0)
    for offset, weight in enumerate(weights, 1):
        out = out + weight * (shifted(offset) + shifted(-offset))
    return out
