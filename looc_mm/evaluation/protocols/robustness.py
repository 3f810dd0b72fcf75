"""Robustness to corruptions (paper section 4, Table 3): a classifier of clean images on corrupted ones."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from looc_mm.corruptions import GROUPS
from looc_mm.datasets.imagenet_c import SEVERITIES
from looc_mm.evaluation.features import Features
from looc_mm.evaluation.linear_classifier import classifier_of
from looc_mm.evaluation.source import FeatureSource
from looc_mm.registry import PROTOCOLS

from .base import Protocol, Score, accuracies, by_training_classes, number_of_classes, with_factor


@PROTOCOLS.register_module()
class RobustnessProbe(Protocol):
    """Linear evaluation on clean training images, scored on every corruption and severity.

    The paper's column "All" cannot be rebuilt from its own groups; here it is the mean over the corruptions, as the
    corruption benchmark defines it.

    Args:
        dataset: Config of the corrupted test images, to which ``corruption`` and ``severity`` are added.
        corruptions: Names; all fifteen by default.
        severities: Those that are there, of 1 to 5.
        label: Which of the dataset's labels to predict; None for each of them in turn.
        seed: Of the classifier.
        **classifier: Options of :class:`LinearClassifier`.

    Raises:
        ValueError: If a corruption, a severity or an option is unknown or given twice.
    """

    name = 'robustness'
    in_all = False

    def __init__(
        self,
        dataset: dict,
        corruptions: Sequence[str] | None = None,
        severities: Sequence[int] = (1, 2, 3, 4, 5),
        label: str | None = None,
        seed: int = 0,
        **classifier: Any,
    ) -> None:
        super().__init__(label, seed)
        self.classifier = classifier_of('RobustnessProbe', classifier, seed)
        known = [name for group in GROUPS.values() for name in group]
        self.corruptions = list(corruptions or known)
        if unknown := sorted(set(self.corruptions) - set(known)):
            raise ValueError(f'RobustnessProbe got the corruptions {unknown}; known are {known}.')
        if sorted({*severities} & {*SEVERITIES}) != sorted(severities) or not severities:
            raise ValueError(
                f'RobustnessProbe got severities={list(severities)}; allowed are {list(SEVERITIES)}, once.'
            )
        if len({*self.corruptions}) < len(self.corruptions):
            raise ValueError(f'RobustnessProbe got a corruption twice: {self.corruptions}.')
        self.dataset = dataset
        self.severities = list(severities)

    def run(self, source: FeatureSource) -> Iterator[Score]:
        """Top-1 on clean images, per corruption, per group, over all, and over severities of 3 and above.

        Raises:
            ValueError: The corrupted sets differ in their number of images; as :func:`by_training_classes`.
        """
        train, test = source.features('train'), source.features('test')
        labels = self.labels(train, test)
        fitted = {label: copy.copy(self.classifier) for label in labels}
        for label, classifier in fitted.items():
            (own,) = by_training_classes(label, train)
            classifier.fit(own.x, own.labels[label], number_of_classes(label, (own,)))

        def top1_of(images: Features, label: str) -> float:
            _, own = by_training_classes(label, train, images)
            return accuracies(fitted[label].predict(own.x), own.labels[label])['top1']

        sizes: dict[int, str] = {}  # number of images -> where it was found first
        top1 = torch.zeros(len(labels), len(self.corruptions), len(self.severities), dtype=torch.float64)
        for row, corruption in enumerate(self.corruptions):
            chosen = [{**self.dataset, 'corruption': corruption, 'severity': each} for each in self.severities]
            for column, corrupted in enumerate(source.several('test', chosen)):
                sizes.setdefault(len(corrupted.x), f'{corruption} {self.severities[column]}')
                for index, label in enumerate(labels):
                    top1[index, row, column] = top1_of(corrupted, label)
        if len(sizes) > 1:
            found = ', '.join(f'{where} has {size}' for size, where in sizes.items())
            raise ValueError(
                f'The corrupted sets differ in their number of images ({found}), so a mean over them would compare '
                f'different pictures. Run "looc corrupt" again to the end.'
            )
        for each, label in zip(top1, labels, strict=True):
            figures = {'clean': top1_of(test, label), **self.summary(each)}
            yield from with_factor(label, [Score(f'top1/{name}', value) for name, value in figures.items()])

    def summary(self, top1: torch.Tensor) -> dict[str, float]:
        """Means of (corruptions, severities) accuracies by name, group, and together.

        A mean has the benchmark's name only if nothing is missing from it: a group that lacks a corruption has no mean,
        and other severities than the five are part of the name.
        """
        known = [name for names in GROUPS.values() for name in names]
        whole = {*known} == {*self.corruptions}
        every = sorted(self.severities) == [*SEVERITIES]
        suffix = '' if every else f' at severity {",".join(map(str, self.severities))}'
        own = {name: top1[row].mean().item() for row, name in enumerate(self.corruptions)}
        figures = {name + suffix: value for name, value in own.items()}
        for group, names in GROUPS.items():
            if all(name in own for name in names):
                figures[group + suffix] = sum(own[name] for name in names) / len(names)
        figures[('all' if whole else f'mean of {len(own)}') + suffix] = top1.mean().item()
        hard = [column for column, severity in enumerate(self.severities) if severity >= 3]
        if whole and len(hard) == 3:
            figures['d>=3'] = top1[:, hard].mean().item()
        return figures
