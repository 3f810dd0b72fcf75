"""Robustness to corruptions (paper section 4, Table 3): a classifier of clean images on corrupted ones."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from looc_mm.corruptions import GROUPS
from looc_mm.evaluation.features import Features
from looc_mm.evaluation.linear_classifier import LinearClassifier, classifier_of
from looc_mm.evaluation.source import FeatureSource
from looc_mm.registry import PROTOCOLS

from .base import Protocol, Score, accuracies, number_of_classes, with_factor


@PROTOCOLS.register_module()
class RobustnessProbe(Protocol):
    """Linear evaluation on clean training images, scored on every corruption and severity.

    The paper's column "All" cannot be rebuilt from its own groups; here it is the mean over the corruptions, as the
    corruption benchmark defines it.

    Args:
        dataset: Config of the corrupted test images, to which ``corruption`` and ``severity`` are added.
        corruptions: Names; all fifteen by default.
        severities: Those that are there.
        label: Which of the dataset's labels to predict; None for each of them in turn.
        seed: Of the classifier.
        **classifier: Options of :class:`LinearClassifier`.

    Raises:
        ValueError: If a corruption or an option is unknown.
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
        self.dataset = dataset
        self.severities = list(severities)

    def run(self, source: FeatureSource) -> Iterator[Score]:
        """Top-1 on clean images, per corruption, per group, over all, and over severities of 3 and above."""
        train, test = source.features('train'), source.features('test')
        labels = self.labels(train, test)
        fitted = {label: copy.copy(self.classifier) for label in labels}
        for label, classifier in fitted.items():
            classifier.fit(train.x, train.labels[label], number_of_classes(label, (train, test)))
        top1 = torch.zeros(len(labels), len(self.corruptions), len(self.severities), dtype=torch.float64)
        for row, corruption in enumerate(self.corruptions):
            chosen = [{**self.dataset, 'corruption': corruption, 'severity': each} for each in self.severities]
            for column, corrupted in enumerate(source.several('test', chosen)):
                for index, (label, classifier) in enumerate(fitted.items()):
                    top1[index, row, column] = score(classifier, corrupted, label)
        for each, (label, classifier) in zip(top1, fitted.items(), strict=True):
            figures = {'clean': score(classifier, test, label), **self.summary(each)}
            yield from with_factor(label, [Score(f'top1/{name}', value) for name, value in figures.items()])

    def summary(self, top1: torch.Tensor) -> dict[str, float]:
        """Means of (corruptions, severities) accuracies by name, group, and together."""
        figures = {name: top1[row].mean().item() for row, name in enumerate(self.corruptions)}
        for group, names in GROUPS.items():
            if present := [figures[name] for name in names if name in figures]:
                figures[group] = sum(present) / len(present)
        figures['all'] = top1.mean().item()
        hard = [column for column, severity in enumerate(self.severities) if severity >= 3]
        if hard:
            figures['d>=3'] = top1[:, hard].mean().item()
        return figures


def score(classifier: LinearClassifier, features: Features, label: str) -> float:
    """Top-1 in percent."""
    return accuracies(classifier.predict(features.x), features.labels[label])['top1']
