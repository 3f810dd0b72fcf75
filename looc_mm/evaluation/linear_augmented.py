"""Linear evaluation as the paper runs it: new random crops and flips in every epoch (section 4).

Shapes: B images, N training images, C feature width.
"""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dist import get_rank
from torch import Tensor
from tqdm import tqdm

from looc_mm.augmentations import HorizontalFlip, RandomResizedCrop
from looc_mm.augmentations.base import ImageSize
from looc_mm.randomness import seeded
from looc_mm.registry import PROTOCOLS
from looc_mm.views import unit_range

from .features import Features
from .linear import LinearProbe
from .protocol import Data


@PROTOCOLS.register_module()
class AugmentedLinearProbe(LinearProbe):
    """Softmax regression by SGD on features of images that are cropped and flipped anew in every epoch.

    The protocol to compare with the paper's numbers by. Each epoch passes all training images through the backbone,
    which costs ``epochs`` times the extraction of :class:`LinearProbe`. Test images are as the config has them.

    Args:
        size: Side of a crop in pixels; that of the test images.
        canvas: Side of the square that workers resize a whole image to and crops are sampled from, in pixels.
        scale: Range of the crop's area as a share of the image's.
        label: Which of the dataset's labels to predict.
        lr: Learning rate, times 0.1 at 60 % and at 80 % of the epochs.
        epochs: The paper: 200, and 100 on iNaturalist.
        batch_size: Of SGD.
        seed: Of the initial weights, the crops and the order of samples. The crops belong to batches: other batch sizes
            of the loader, or more processes, draw others.
    """

    def __init__(
        self,
        size: int = 224,
        canvas: int = 256,
        scale: Sequence[float] = (0.08, 1.0),
        label: str = 'gt_label',
        lr: float = 30.0,
        epochs: int = 200,
        batch_size: int = 256,
        seed: int = 0,
    ) -> None:
        super().__init__(label, 'sgd', lr=lr, epochs=epochs, batch_size=batch_size, seed=seed)
        self.pipeline = [dict(type='LoadCanvas', size=canvas), dict(type='PackCanvas', label_keys=(label,))]
        self.augmentations = [RandomResizedCrop(size, scale), HorizontalFlip()]

    def run(self, data: Data) -> list[dict[str, Any]]:
        """Fit on crops and score on the test split.

        Raises:
            ValueError: A split has no such label, or SGD diverged.
        """
        test = data.features('test')
        first = self.epoch(data, 1)
        classes = self.classes(first, test)
        progress = tqdm(total=self.epochs, desc='epochs', leave=False, disable=None if get_rank() == 0 else True)

        def features_of(epoch: int) -> Tensor:
            progress.update()
            return first.x if epoch == 1 else self.epoch(data, epoch).x

        with progress:
            self.weight, self.bias = self._sgd(features_of, *classes)
        return [{**each, 'solver': 'sgd on random crops'} for each in self.records(test)]

    def epoch(self, data: Data, epoch: int) -> Features:
        """Features of one epoch's crops of all training images, (N, C)."""
        generator = seeded(self.seed, epoch, get_rank())
        return data.fresh('train', lambda canvas, size: self.crop(canvas, size, generator), {'pipeline': self.pipeline})

    def crop(self, canvas: Tensor, image_size: ImageSize, generator: torch.Generator) -> Tensor:
        """Crop and flip a batch.

        Args:
            canvas: (B, 3, H, W) uint8.
            image_size: (B, 2), of the original images.
            generator: Source of the draws.

        Returns:
            (B, 3, size, size) uint8.
        """
        images = unit_range(canvas)
        for augmentation in self.augmentations:
            images = augmentation.apply(images, augmentation.sample(len(images), generator, image_size))
            image_size = augmentation.output_size(image_size)
        return (255 * images).round_().byte()
