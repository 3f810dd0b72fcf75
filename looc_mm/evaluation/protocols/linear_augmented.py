"""Linear evaluation as the paper runs it: new random crops and flips in every epoch (section 4).

Shapes: B images, N training images, C feature width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from mmengine.dist import get_rank
from torch import Tensor
from tqdm import tqdm

from looc_mm.augmentations import HorizontalFlip, RandomResizedCrop
from looc_mm.augmentations.base import ImageSize
from looc_mm.evaluation.features import Features
from looc_mm.evaluation.source import FeatureSource
from looc_mm.multichannel import channels_of
from looc_mm.randomness import seeded
from looc_mm.registry import PROTOCOLS
from looc_mm.views import unit_range

from .base import Score, by_training_classes, number_of_classes, with_factor
from .linear import LinearProbe


@PROTOCOLS.register_module()
class AugmentedLinearProbe(LinearProbe):
    """Softmax regression by SGD on features of images with new random crops and flips in every epoch.

    Use this one to compare with the paper. Each epoch passes all training images through the backbone,
    which costs ``epochs`` times the extraction of :class:`LinearProbe`. Test images are as the config has them.

    Args:
        size: Side of a crop in pixels; that of the test images.
        canvas: Side of the square that workers resize a whole image to and crops are sampled from, in pixels.
        scale: Range of the crop's area as a share of the image's.
        label: Which of the dataset's labels to predict; None for each of them in turn.
        lr: Learning rate, times 0.1 at 60 % and at 80 % of the epochs.
        epochs: The paper: 200, and 100 on iNaturalist.
        batch_size: Of SGD.
        seed: Of the initial weights, the crops and the order of samples. The crops belong to batches: other batch sizes
            of the loader, or more processes, draw others.
    """

    name = 'linear'
    in_all = False

    def __init__(
        self,
        size: int = 224,
        canvas: int = 256,
        scale: Sequence[float] = (0.08, 1.0),
        label: str | None = None,
        lr: float = 30.0,
        epochs: int = 200,
        batch_size: int = 256,
        seed: int = 0,
    ) -> None:
        super().__init__(label, seed=seed, solver='sgd', lr=lr, epochs=epochs, batch_size=batch_size)
        self.canvas = canvas
        self.augmentations = [RandomResizedCrop(size, scale), HorizontalFlip()]

    def run(self, source: FeatureSource) -> Iterator[Score]:
        """Fit on crops and score on the test split, for each label.

        Raises:
            ValueError: A split has no such label, or SGD diverged.
        """
        test = source.features('test')
        for label in self.labels(test):
            first, own = by_training_classes(label, self.epoch(source, label, 1), test)
            with tqdm(total=self.classifier.epochs, desc='epochs', leave=False, disable=get_rank() != 0 or None) as bar:

                def features_of(epoch: int, label: str = label, first: Features = first, bar: tqdm = bar) -> Tensor:
                    bar.update()
                    return first.x if epoch == 1 else self.epoch(source, label, epoch).x

                classes = number_of_classes(label, (first, own))
                self.classifier.fit_epochs(features_of, first.labels[label], classes)
            scores = self.scores(self.classifier, own, label)
            yield from with_factor(label, (replace(score, solver='sgd on random crops') for score in scores))

    def epoch(self, source: FeatureSource, label: str, epoch: int) -> Features:
        """Features of one epoch's crops of all training images, (N, C)."""
        channels = channels_of(source.model)
        load = dict(type='LoadCanvas', size=self.canvas, **(channels.settings() if channels else {}))
        pipeline = [load, dict(type='PackCanvas', label_keys=(label,))]
        generator = seeded(self.seed, epoch, get_rank())
        return source.augmented('train', lambda each, size: self.crop(each, size, generator), {'pipeline': pipeline})

    def crop(self, canvas: Tensor, image_size: ImageSize, generator: torch.Generator) -> Tensor:
        """Crop and flip a batch.

        Args:
            canvas: (B, C, H, W) uint8, or float32 in [0, 1].
            image_size: (B, 2), of the original images.
            generator: Source of the draws.

        Returns:
            (B, C, size, size) of the same type.
        """
        images = unit_range(canvas)
        for augmentation in self.augmentations:
            images = augmentation.apply(images, augmentation.sample(len(images), generator, image_size))
            image_size = augmentation.output_size(image_size)
        return images if canvas.is_floating_point() else (255 * images).round_().byte()
