"""The contract of an atomic augmentation: ``sample`` draws, ``apply`` obeys.

Shapes
    B  images in the batch        H, W  height and width in pixels
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Params = dict[str, Tensor]
#: (height, width) in pixels: one pair for the whole batch, or an int tensor (B, 2) with a pair per image.
ImageSize = Sequence[int] | Tensor


class AtomicAugmentation(ABC):
    """One X_i of section 2: a random transformation whose every choice is a recorded parameter.

    To add an augmentation, subclass this, give it a ``name``, register it in
    :data:`looc_mm.registry.AUGMENTATIONS` and name it in a config's list. Its view, projection head,
    queue and logged figures follow from there.

    Attributes:
        name: The name of the augmentation and, if it owns one, of its embedding space.
        owns_space: Whether the augmentation gets an embedding space of its own. Crop, flip and blur don't.
        in_channels: Channels of the images that :meth:`apply` takes: 3, or more for the first one of a pipeline's list
            if the canvas brings candidates to choose from, three channels each.
    """

    name: str
    owns_space: bool = True
    in_channels: int = 3

    @abstractmethod
    def sample(self, batch_size: int, generator: torch.Generator | None, image_size: ImageSize) -> Params:
        """Draw x_i ~ X_i for every image: all randomness is here, the coin flip too.

        Two draws with the same effect should have the same parameters (say, factor 1 where the coin says
        "leave the image alone"), because false negatives are found by comparing parameters.

        Args:
            batch_size: B, the number of images.
            generator: Source of every draw; None is torch's global one.
            image_size: Size of the images that :meth:`apply` stands for, a pair or (B, 2).

        Returns:
            Tensors on the CPU, each with leading dimension B.
        """

    @abstractmethod
    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Transform images by given parameters; draws nothing and changes neither argument.

        Args:
            images: (B, 3, H, W) float RGB in [0, 1].
            params: What :meth:`sample` gave.

        Returns:
            (B, 3, H', W') float RGB in [0, 1].
        """

    def identity(self, batch_size: int) -> Params:
        """Parameters that leave images alone, for view strategies that leave an augmentation out of a view.

        Returns:
            Tensors like those of :meth:`sample`, equal to what it gives where the coin says "leave the image alone".

        Raises:
            NotImplementedError: If the augmentation does not define it.
        """
        raise NotImplementedError(
            f'{type(self).__name__} does not say which parameters leave an image alone: define its method identity().'
        )

    def vector(self, params: Params) -> Tensor:
        """The parameters as plain numbers, for methods that predict them or condition on them.

        Override it where a parameter is a category or an order, which are no quantities.

        Args:
            params: What :meth:`sample` gave.

        Returns:
            (B, P) float32.
        """
        return torch.cat([value.reshape(len(value), -1).float() for value in params.values()], 1)

    def output_size(self, image_size: ImageSize) -> ImageSize:
        """Size of the images that leave :meth:`apply`, given the size of those that enter."""
        return image_size

    def __repr__(self) -> str:
        """Name the type and its settings."""
        settings = ', '.join(f'{key}={value}' for key, value in vars(self).items())
        return f'{type(self).__name__}({settings})'


class GeometricAugmentation(AtomicAugmentation):
    """An augmentation that is a 3x3 matrix per image.

    Neighbours of this kind in a pipeline's list are fused: their matrices are multiplied and each view
    is interpolated once, however many there are.
    """

    @abstractmethod
    def matrix(self, params: Params) -> Tensor:
        """Where each output point comes from.

        Args:
            params: What :meth:`sample` gave.

        Returns:
            (B, 3, 3) float: takes homogeneous output coordinates to input coordinates, both in [-1, 1]
            from edge to edge, x to the right and y down.
        """

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Sample the images by :meth:`matrix`; see :meth:`AtomicAugmentation.apply`."""
        height, width = self.output_size(images.shape[-2:])
        return warp(images, self.matrix(params), (int(height), int(width)))


def warp(images: Tensor, matrix: Tensor, size: tuple[int, int]) -> Tensor:
    """Sample images bilinearly at the points that a matrix gives.

    Args:
        images: (B, 3, H, W) float in [0, 1].
        matrix: (B, 3, 3), output to input coordinates in [-1, 1].
        size: (h, w) of the output in pixels.

    Returns:
        (B, 3, h, w); beyond the border the edge pixel is repeated.
    """
    theta = matrix[:, :2].to(images.device, images.dtype, non_blocking=True)
    # The rows' part plus the columns': 40 times as fast on a CPU as F.affine_grid, which multiplies matrices.
    y, x = ((2 * torch.arange(side, device=images.device) + 1 - side) / side for side in size)
    columns = theta[:, None, :, 0] * x[:, None]  # B x w x 2
    rows = theta[:, None, :, 1] * y[:, None] + theta[:, None, :, 2]  # B x h x 2
    grid = rows[:, :, None] + columns[:, None]
    out = F.grid_sample(images, grid, mode='bilinear', padding_mode='border', align_corners=False)
    return out.clamp_(0, 1)  # weights may add up to a rounding error more than 1


def uniform(size: Sequence[int], bounds: Sequence[float], generator: torch.Generator | None) -> Tensor:
    """Independent draws from U(low, high) of the given shape, ``bounds`` being (low, high)."""
    low, high = bounds
    return torch.rand(*size, generator=generator) * (high - low) + low


def coin(batch_size: int, prob: float, generator: torch.Generator | None) -> Tensor:
    """(B,) bool, True with probability ``prob``."""
    return torch.rand(batch_size, generator=generator) < prob


def size_per_image(image_size: ImageSize, batch_size: int) -> Tensor:
    """(B, 2) int64 heights and widths from a pair or from a tensor that already is one row per image."""
    return torch.as_tensor(image_size).to('cpu', torch.int64).expand(batch_size, 2)


def check_probability(owner: object, prob: float) -> float:
    """Return ``prob``.

    Raises:
        ValueError: If it is not in [0, 1].
    """
    if not 0 <= prob <= 1:
        raise ValueError(f'{type(owner).__name__} got prob={prob}; a probability lies in [0, 1].')
    return prob
