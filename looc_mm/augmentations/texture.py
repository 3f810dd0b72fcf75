"""Texture randomization without weights or files: a random convolution for every image."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from looc_mm.registry import AUGMENTATIONS

from .base import AtomicAugmentation, ImageSize, Params, check_probability, coin, fused, send, uniform


@AUGMENTATIONS.register_module()
class RandomConvTexture(AtomicAugmentation):
    """Replace the texture by that of a random convolution, keeping shapes and each channel's mean and deviation.

    The paper randomizes texture by stylized images (section 4) and gives no method; this is RandConv (Xu et al.,
    2021), which needs neither style images nor a network. It would recolour too, so the channels' statistics are
    matched to the source's: colour and texture stay separable spaces.

    Args:
        prob: Probability of a new texture (appendix A: 0.5).
        kernel_sizes: Sides of the kernel in pixels of the view, odd; each drawn with equal chance.
        mixing: Blend with the source by a share from U(0, 1), RandConv's milder version.

    Raises:
        ValueError: If ``prob`` is not in [0, 1] or a kernel size is not odd and positive.
    """

    name = 'texture'

    def __init__(self, prob: float = 0.5, kernel_sizes: Sequence[int] = (1, 3, 5, 7), mixing: bool = False) -> None:
        self.prob = check_probability(self, prob)
        if not kernel_sizes or any(size < 1 or size % 2 == 0 for size in kernel_sizes):
            raise ValueError(f'RandomConvTexture got kernel_sizes={tuple(kernel_sizes)}; give odd numbers of pixels.')
        self.kernel_sizes = tuple(kernel_sizes)
        self.mixing = mixing

    def sample(self, batch_size: int, generator: torch.Generator | None, image_size: ImageSize) -> Params:
        """Draw the convolution.

        Returns:
            ``kernel`` (B, 3, 3, k, k), output by input channel, He-normal, zero outside its drawn size and where the
            coin leaves the image alone; ``keep`` (B,), the source's share of the result, 1 where it is left alone.
        """
        chosen = coin(batch_size, self.prob, generator)
        sizes = torch.tensor(self.kernel_sizes)
        size = sizes[torch.randint(len(sizes), (batch_size,), generator=generator)]
        widest = int(sizes.max())
        inside = (torch.arange(widest) - widest // 2).abs() <= (size // 2)[:, None]  # B x k
        inside = (inside[:, :, None] & inside[:, None, :])[:, None, None]  # B x 1 x 1 x k x k
        kernel = torch.randn(batch_size, 3, 3, widest, widest, generator=generator) / (
            3**0.5 * size.view(-1, 1, 1, 1, 1)
        )
        keep = uniform((batch_size,), (0, 1), generator) * self.mixing
        return {
            'kernel': torch.where(inside & chosen.view(-1, 1, 1, 1, 1), kernel, 0.0),
            'keep': torch.where(chosen, keep, 1.0),
        }

    def identity(self, batch_size: int) -> Params:
        """No kernel, all of the source; see :meth:`AtomicAugmentation.identity`."""
        widest = max(self.kernel_sizes)
        return {'kernel': torch.zeros(batch_size, 3, 3, widest, widest), 'keep': torch.ones(batch_size)}

    def words(self, params: Params) -> list[str]:
        """The side of the kernel: 'texture 5 x 5', and the source's share of the result if there is one."""
        sides = (2 * _radius(params['kernel']) + 1).tolist()
        pairs = zip(sides, params['keep'].tolist(), strict=True)
        return [
            '' if keep == 1 else f'texture {side} x {side}' + (f', {100 * keep:.0f} % kept' if keep else '')
            for side, keep in pairs
        ]

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Convolve, match the channels' statistics, blend; see :meth:`AtomicAugmentation.apply`."""
        chosen = (params['keep'] < 1).nonzero()[:, 0]
        if len(chosen) == 0:
            return images
        kernel = params['kernel'][chosen]
        radius = _radius(kernel)
        order = radius.argsort(stable=True)  # neighbours of one size are convolved together
        chosen, kernel, radius = chosen[order], kernel[order], radius[order]
        where = send(chosen, images.device)
        kernel = send(kernel, images.device, images.dtype)
        keep = send(params['keep'][chosen], images.device, images.dtype)

        source = images[where]  # N x 3 x H x W
        sizes, counts = radius.unique_consecutive(return_counts=True)
        parts = zip(source.split(counts.tolist()), kernel.split(counts.tolist()), sizes.tolist(), strict=True)
        texture = torch.cat([_convolve(*part) for part in parts])
        return images.index_copy(0, where, _restyle(texture, source, keep))


def _radius(kernel: Tensor) -> Tensor:
    """(N,) int64: how far from the middle of (N, 3, 3, k, k) there is something but zero."""
    offsets = (torch.arange(kernel.shape[-1]) - kernel.shape[-1] // 2).abs()
    return ((kernel != 0).any(1).any(1) * torch.maximum(offsets, offsets[:, None])).flatten(1).amax(1)


def _convolve(source: Tensor, kernel: Tensor, radius: int) -> Tensor:
    """Convolve each (3, H, W) image by the middle of its own kernel (3, 3, k, k), with the edge pixel repeated."""
    middle = slice(kernel.shape[-1] // 2 - radius, kernel.shape[-1] // 2 + radius + 1)
    kernel = kernel[..., middle, middle]
    padded = F.pad(source, (radius, radius, radius, radius), mode='replicate')
    # One channel to one channel at a time: other convolutions round differently from batch to batch.
    pairs = padded[:, None].expand(-1, 3, -1, -1, -1).flatten(0, 2)[None]  # 1 x 9N x H x W, output by input
    pairs = F.conv2d(pairs, kernel.flatten(0, 2)[:, None], groups=9 * len(kernel))[0]
    return pairs.unflatten(0, (-1, 3, 3)).sum(2)  # N x 3 x H x W


@fused()
def _restyle(texture: Tensor, source: Tensor, keep: Tensor) -> Tensor:
    """Give each channel of a texture the source's mean and deviation, and blend with the source by (N,) shares."""
    std, mean = torch.std_mean(source, (2, 3), correction=0, keepdim=True)
    std_new, mean_new = torch.std_mean(texture, (2, 3), correction=0, keepdim=True)
    texture = ((texture - mean_new) * (std / std_new.clamp_min(1e-6)) + mean).clamp_(0, 1)
    return torch.lerp(texture, source, keep[:, None, None, None])
