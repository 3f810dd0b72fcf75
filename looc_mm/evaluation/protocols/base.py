"""What a protocol is: it asks a source for features and yields scores."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from matplotlib.figure import Figure
from torch import Tensor

from looc_mm.evaluation.features import Features, FeatureSet
from looc_mm.evaluation.source import FeatureSource
from looc_mm.models.representation import representation_names
from looc_mm.registry import snake_case


@dataclass(frozen=True)
class Score:
    """One value of a protocol.

    Attributes:
        metric: 'top1', 'top5', ...
        value: In percent where the metric says nothing else.
        ci: Half width of the 95 % confidence interval.
        factor: Which factor of the image was predicted; None for its class.
        solver: How a linear layer was fitted.
        representation: 'V' or a list of spaces; None for the one that the source was asked for.
    """

    metric: str
    value: float
    ci: float | None = None
    factor: str | None = None
    solver: str | None = None
    representation: Any = None


@dataclass(frozen=True)
class Drawing:
    """A figure of a protocol, and the name of its file."""

    file: str
    figure: Figure


class Protocol:
    """A protocol on frozen features.

    Most override :meth:`evaluate` alone. One that needs more than the features of two splits overrides :meth:`run`.

    Args:
        label: Which of the dataset's labels to predict; None for each of them in turn.
        seed: Of the protocol's random choices.

    Attributes:
        name: Of the protocol in ``results.json`` and for ``--protocols``; by default the class's in snake case.
        rotate_train: How training images are turned before they are embedded; see :func:`extract`.
        rotate_test: How test images are turned.
        per_representation: Whether it runs on each representation that was asked for; else it runs once.
        in_all: Whether ``--protocols all`` runs it: it reads extracted features, and no other data.
    """

    name: ClassVar[str]
    rotate_train: str | None = None
    rotate_test: str | None = None
    per_representation: ClassVar[bool] = True
    in_all: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Name a class that does not name itself: an inherited name would be that of two protocols."""
        super().__init_subclass__(**kwargs)
        if 'name' not in vars(cls):
            cls.name = snake_case(cls.__name__)

    def __init__(self, label: str | None = None, seed: int = 0) -> None:
        self.label = label
        self.seed = seed

    def unsuitable(self, source: FeatureSource) -> str | None:
        """Why the protocol cannot run on a model and its data; None if it can."""
        return None

    def run(self, source: FeatureSource) -> Iterator[Score | Drawing]:
        """Fit and score for each label.

        Raises:
            ValueError: The dataset does not have the label; as :func:`by_training_classes`.
        """
        train, test = source.features('train', self.rotate_train), source.features('test', self.rotate_test)
        for label in self.labels(train, test):
            fitted, scored = by_training_classes(label, train, test)
            yield from with_factor(label, self.evaluate(fitted, scored, label))

    def evaluate(self, train: Features, test: Features, label: str) -> Iterable[Score]:
        """Fit on one split and score on the other.

        Args:
            train: Features to fit.
            test: Features to score.
            label: Which of their labels to predict.
        """
        raise NotImplementedError

    def labels(self, *splits: Any) -> list[str]:
        """The labels to predict: the given one, or all classes but ``rotation``; a label of floats is no class.

        Args:
            *splits: Features or feature sets, each of which must have the label.

        Raises:
            ValueError: With the labels that there are.
        """
        found = [
            label
            for label, values in splits[0].labels.items()
            if not values.is_floating_point() and all(label in each.labels for each in splits)
        ]
        if self.label is None and (classes := [label for label in found if label != 'rotation']):
            return classes
        if self.label is None or self.label not in found:
            raise ValueError(f'No label {self.label!r} in the dataset; it has {found}.')
        return [self.label]


class SpacesProtocol(Protocol):
    """A protocol that compares spaces."""

    per_representation = False

    def unsuitable(self, source: FeatureSource) -> str | None:
        """The model must have spaces."""
        return None if {*representation_names(source.model)} - {'V'} else 'the model has no spaces'


def factor_of(label: str) -> str | None:
    """What a score says of a label: nothing, where it is the class of the image."""
    return None if label == 'gt_label' else label


def with_factor(label: str, scores: Iterable[Any]) -> Iterator[Any]:
    """Scores that name their factor; other results as they are."""
    for score in scores:
        yield replace(score, factor=factor_of(label)) if isinstance(score, Score) else score


def accuracies(scores: Tensor, target: Tensor) -> dict[str, float]:
    """Top-1 and, with more than five classes, top-5 accuracy in percent.

    Args:
        scores: (N, K), the higher the more likely; a class of score -inf is not guessed.
        target: (N,) int64 in [0, K).

    Returns:
        Metric name to value.
    """
    ks = (1, 5) if scores.shape[1] > 5 else (1,)
    best = scores.topk(max(ks), dim=1)  # N x 1 or 5, best first
    hits = (best.indices == target[:, None]) & (best.values > -float('inf'))
    return {f'top{k}': 100 * hits[:, :k].any(dim=1).double().mean().item() for k in ks}


def by_training_classes(label: str, train: Features, *others: Features) -> list[Features]:
    """The splits with a label that counts the classes that have training images, 0 to K - 1.

    So a number without training images, such as that of an empty folder, has no weight, no vote and no part in a mean.

    Args:
        label: Which of the labels.
        train: The training images.
        *others: What is scored.

    Returns:
        The training images and the others.

    Raises:
        ValueError: As :func:`check_label`, or images to score have a class without training images.
    """
    check_label(label, train, *others)
    values = train.labels[label].unique()  # K, sorted
    for each in others:
        known = torch.isin(each.labels[label], values)
        if not known.all():
            raise ValueError(
                f'{int((~known).sum())} test images have classes of {label!r} without training images, which no '
                f'classifier can know: {each.labels[label][~known].unique().tolist()[:10]}. Add training images, or '
                f'leave these classes out.'
            )
    return [
        Features(each.x, {**each.labels, label: torch.searchsorted(values, each.labels[label])})
        for each in (train, *others)
    ]


def check_label(label: str, train: Features | FeatureSet, *others: Features | FeatureSet) -> None:
    """Make sure that a label says something of every image.

    Raises:
        ValueError: A label is negative, or the training images have one class.
    """
    for each in (train, *others):
        if none := int((each.labels[label] < 0).sum()):
            raise ValueError(
                f'{none} of {len(each.labels[label])} images have a negative number as {label!r}, which is no class. '
                f'Leave images without a class out of the dataset.'
            )
    if len(values := train.labels[label].unique()) < 2:
        raise ValueError(
            f'The training images have one class of {label!r} ({values.tolist()}), so every guess is right. Give '
            f'images of at least 2 classes.'
        )


def number_of_classes(label: str, splits: Sequence[Features]) -> int:
    """How many classes the labels of all splits need."""
    return 1 + int(max(each.labels[label].max() for each in splits))
