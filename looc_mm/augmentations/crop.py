"""Random resized crop; fused with its geometric neighbours."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from looc_mm.registry import AUGMENTATIONS

from .base import GeometricAugmentation, ImageSize, Params, size_per_image, uniform

TRIES = 10  # as in torchvision: a box that does not fit is drawn again, the whole image after the last try


@AUGMENTATIONS.register_module()
class RandomResizedCrop(GeometricAugmentation):
    """Cut a random box out of the image and resize it to a square.

    The box is drawn in pixels of the original image, however the canvas that holds it was resized.

    Args:
        size: Side of the output in pixels.
        scale: Range of the box's area as a share of the image's. MoCo v2: (0.2, 1).
        ratio: Range of the box's width / height.

    Raises:
        ValueError: If the size is less than 1, a range is not 0 < low <= high, or a scale exceeds 1.
    """

    name = 'crop'
    owns_space = False

    def __init__(
        self, size: int = 224, scale: Sequence[float] = (0.2, 1.0), ratio: Sequence[float] = (3 / 4, 4 / 3)
    ) -> None:
        if size < 1:
            raise ValueError(f'RandomResizedCrop got size={size}; the side of a view has at least 1 pixel.')
        for label, (low, high), limit in (('scale', scale, 1), ('ratio', ratio, math.inf)):
            if not 0 < low <= high <= limit:
                raise ValueError(f'RandomResizedCrop got {label}={(low, high)}; need 0 < low <= high <= {limit}.')
        self.size, self.scale, self.ratio = size, tuple(scale), tuple(ratio)

    def sample(self, batch_size: int, generator: torch.Generator | None, image_size: ImageSize) -> Params:
        """Draw ``box`` (B, 4): left, top, width, height as fractions of the image."""
        height, width = size_per_image(image_size, batch_size).unsqueeze(1).double().unbind(-1)  # B x 1
        area = height * width * uniform((batch_size, TRIES), self.scale, generator)  # B x TRIES
        aspect = uniform((batch_size, TRIES), [math.log(bound) for bound in self.ratio], generator).exp()
        w, h = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
        place = uniform((2, batch_size, 1), (0, 1), generator).double()

        fits = (0 < w) & (w <= width) & (0 < h) & (h <= height)
        first = fits.int().argmax(1, keepdim=True)  # argmax gives the first of equals
        found = fits.any(1, keepdim=True)
        w = torch.where(found, w.gather(1, first), torch.minimum(width, (height * self.ratio[1]).round()))
        h = torch.where(found, h.gather(1, first), torch.minimum(height, (width / self.ratio[0]).round()))
        left = torch.where(found, (place[0] * (width - w + 1)).floor(), ((width - w) / 2).round())
        top = torch.where(found, (place[1] * (height - h + 1)).floor(), ((height - h) / 2).round())
        return {'box': torch.cat([left / width, top / height, w / width, h / height], 1)}

    def vector(self, params: Params) -> Tensor:
        """(B, 4): x and y of the box's centre, its width and height, as fractions of the image."""
        left, top, width, height = params['box'].float().unbind(1)
        return torch.stack([left + width / 2, top + height / 2, width, height], 1)

    def words(self, params: Params) -> list[str]:
        """The box's width and height in percent of the image's: 'crop 62 x 48 %'."""
        return [f'crop {100 * width:.0f} x {100 * height:.0f} %' for _, _, width, height in params['box'].tolist()]

    def matrix(self, params: Params) -> Tensor:
        """Scale to the box's size, then shift to its centre; see :meth:`GeometricAugmentation.matrix`."""
        left, top, width, height = params['box'].unbind(1)
        zero, one = torch.zeros_like(left), torch.ones_like(left)
        rows = [
            torch.stack([width, zero, 2 * left + width - 1], 1),
            torch.stack([zero, height, 2 * top + height - 1], 1),
            torch.stack([zero, zero, one], 1),
        ]
        return torch.stack(rows, 1)

    def output_size(self, image_size: ImageSize) -> ImageSize:
        """The square ``(size, size)``, whatever enters."""
        return (self.size, self.size)
