"""Figure 4: which spaces a classifier relies on, image by image and over a dataset.

Shapes: N images, H heads (spaces), D dimensions of one, K classes.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from looc_mm.evaluation.features import FeatureSet
from looc_mm.evaluation.linear_classifier import classifier_of
from looc_mm.evaluation.source import FeatureSource
from looc_mm.registry import PROTOCOLS
from looc_mm.visualization import draw_shares

from .base import Drawing, Score, SpacesProtocol, by_training_classes, factor_of, number_of_classes, with_factor


@PROTOCOLS.register_module()
class HeadPreference(SpacesProtocol):
    """Activation times weight of every head, for correctly classified test images.

    The classifier reads all spaces, concatenated. Its weights are taken relative to their mean over the classes, as
    adding the same to every class changes no decision; ``raw`` scores take the weights as they are.

    Args:
        pictures: Images whose own histograms are drawn beside the dataset's.
        label: Which of the dataset's labels to predict; None for each of them in turn.
        seed: Of the classifier.
        **classifier: Options of :class:`LinearClassifier`.

    Raises:
        ValueError: An option is unknown.
    """

    name = 'head_preference'

    def __init__(self, pictures: int = 7, label: str | None = None, seed: int = 0, **classifier: Any) -> None:
        super().__init__(label, seed)
        self.classifier = classifier_of('HeadPreference', classifier, seed)
        self.pictures = pictures

    def run(self, source: FeatureSource) -> Iterator[Score | Drawing]:
        """Mean share and wins of each head in percent, the entropy of the mean shares in bits; and a figure.

        Raises:
            ValueError: If no test image is classified correctly, or no space speaks for the class of such an image.
        """
        train, test = source.feature_set('train'), source.feature_set('test')
        for label in self.labels(train, test):
            yield from with_factor(label, self.preferences(source, train, test, label))

    def preferences(
        self, source: FeatureSource, train: FeatureSet, test: FeatureSet, label: str
    ) -> Iterator[Score | Drawing]:
        """Scores and figure of one label."""
        spaces = train.spaces
        fitted, features = by_training_classes(label, train.select(spaces), test.select(spaces))
        labels = features.labels[label]
        self.classifier.fit(fitted.x, fitted.labels[label], number_of_classes(label, (fitted, features)))
        correct = (self.classifier.predict(features.x).argmax(1) == labels).nonzero()[:, 0]
        if not len(correct):
            raise ValueError('HeadPreference looks at correctly classified images, and there is none.')
        widths = [test.parts[space].shape[1] for space in spaces]
        own = self.classifier.weight
        for prefix, weight in {'': own - own.mean(0), 'raw ': own}.items():
            shares = preference(features.x[correct].to(weight), weight, labels[correct], widths)  # N x H
            speaking = shares.any(1)
            if not speaking.any():
                raise ValueError(
                    'HeadPreference found no image for whose class a space speaks: its shares are not known.'
                )
            if silent := int((~speaking).sum()):
                warnings.warn(
                    f'head_preference: no space speaks for the class of {silent} of {len(correct)} correctly '
                    f'classified images ({prefix or "centred "}weights). They count in no mean.',
                    stacklevel=2,
                )
            shares, shown = shares[speaking], correct[speaking]
            mean = shares.mean(0)
            wins = torch.bincount(shares.argmax(1), minlength=len(spaces)) / len(shares)
            for i, space in enumerate(spaces):
                yield Score(f'{prefix}share/{space}', 100 * mean[i].item(), representation=spaces)
            for i, space in enumerate(spaces):
                yield Score(f'{prefix}wins/{space}', 100 * wins[i].item(), representation=spaces)
            yield Score(f'{prefix}entropy', entropy(mean), representation=spaces)
            if not prefix:
                chosen = torch.linspace(0, len(shown) - 1, min(self.pictures, len(shown))).long()
                images = [source.image('test', int(row)) for row in shown[chosen]]
                title = f'{source.name}, mean:\n{entropy(mean):.2f} bits'
                factor = factor_of(label)
                figure = draw_shares(spaces, title, mean, images, shares[chosen])
                yield Drawing('_'.join(['head_preference', *([factor] if factor else [])]) + '.png', figure)


def preference(features: Tensor, weight: Tensor, labels: Tensor, widths: list[int]) -> Tensor:
    """p_h = max(c_h, 0) / sum of max(c, 0), with c_h = sum over head h's dimensions of W[y, d] f[d].

    Args:
        features: (N, sum of widths).
        weight: (K, sum of widths).
        labels: (N,) the class y of each.
        widths: D of each head.

    Returns:
        (N, H), rows add up to 1; 0 where no head speaks for the class.
    """
    products = features * weight[labels]
    c = torch.stack([part.sum(1) for part in products.split(widths, 1)], 1).clamp_min(0)  # N x H
    return c / c.sum(1, keepdim=True).clamp_min(1e-12)


def entropy(shares: Tensor) -> float:
    """-sum p log2 p in bits."""
    return -torch.special.xlogy(shares, shares).sum().item() / torch.log(torch.tensor(2.0)).item()
