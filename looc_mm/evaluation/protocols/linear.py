"""Linear evaluation: one linear layer on frozen features (paper section 4).

Shapes: N samples, C feature width, K classes.
"""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from looc_mm.evaluation.features import Features
from looc_mm.evaluation.linear_classifier import LinearClassifier, classifier_of
from looc_mm.registry import PROTOCOLS

from .base import Protocol, Score, accuracies, number_of_classes


@PROTOCOLS.register_module()
class LinearProbe(Protocol):
    """Softmax regression on features that were extracted once.

    Args:
        label: Which of the dataset's labels to predict; None for each of them in turn.
        sweep: Values of ``l2`` ('lbfgs') or ``lr`` ('sgd') to choose from for a second score, ``top1/swept``: the best
            on a tenth of the training samples, then fitted on all of them. Values that diverge drop out.
        seed: Of the classifier, and of the tenth that is held out.
        **classifier: Options of :class:`LinearClassifier`.

    Raises:
        ValueError: An option is unknown.
    """

    name = 'linear'

    def __init__(self, label: str | None = None, sweep: Sequence[float] = (), seed: int = 0, **classifier: Any) -> None:
        super().__init__(label, seed)
        self.sweep = tuple(sweep)
        self.classifier = classifier_of(type(self).__name__, classifier, seed)

    def evaluate(self, train: Features, test: Features, label: str) -> Iterator[Score]:
        """Fit on one split and score on the other.

        Raises:
            ValueError: SGD diverged.
        """
        x, y, classes = train.x, train.labels[label], number_of_classes(label, (train, test))
        yield from self.scores(self.classifier.fit(x, y, classes), test, label)
        if self.sweep:
            yield from self.scores(self.swept(x, y, classes), test, label, '/swept')

    def scores(self, classifier: LinearClassifier, test: Features, label: str, suffix: str = '') -> Iterator[Score]:
        """Accuracies of a fitted classifier."""
        for metric, value in accuracies(classifier.predict(test.x), test.labels[label]).items():
            yield Score(metric + suffix, value, solver=classifier.solver)

    def swept(self, x: Tensor, y: Tensor, classes: int) -> LinearClassifier:
        """A classifier with the value of the sweep that is best on held-out training samples, fitted on all.

        Args:
            x: (N, C).
            y: (N,).
            classes: K.

        Raises:
            ValueError: Every value diverged.
        """
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(self.seed)).to(x.device)
        held, rest = order[: max(1, len(order) // 10)], order[max(1, len(order) // 10) :]
        tried: list[tuple[float, int, LinearClassifier]] = []
        for value in self.sweep:
            classifier = copy.copy(self.classifier)
            setattr(classifier, 'l2' if classifier.solver == 'lbfgs' else 'lr', value)
            try:
                classifier.fit(x[rest], y[rest], classes)
            except ValueError:  # diverged
                continue
            tried.append((accuracies(classifier.predict(x[held]), y[held])['top1'], -len(tried), classifier))
        if not tried:
            raise ValueError(f'SGD diverged with every value of sweep={self.sweep}; give lower ones.')
        return max(tried)[-1].fit(x, y, classes)
