"""Regression on frozen features, for labels that are numbers: a position, an angle, an age.

Shapes: N training samples, M test samples, C feature width, R resamples.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from looc_mm.evaluation.bootstrap import percentiles, resampled_totals
from looc_mm.evaluation.features import Features
from looc_mm.evaluation.ridge import fit_ridge
from looc_mm.evaluation.source import FeatureSource
from looc_mm.registry import PROTOCOLS

from .base import Drawing, Protocol, Score, with_factor


class Errors(NamedTuple):
    """How well numbers were predicted, with 95 % bootstrap intervals over groups of test pictures.

    Attributes:
        r2: 1 - (sum of squared errors) / (sum of squared deviations from the mean of the test pictures).
        r2_interval: Low and high.
        mae: Mean absolute error, in the unit of the label.
        mae_interval: Low and high.
    """

    r2: float
    r2_interval: tuple[float, float]
    mae: float
    mae_interval: tuple[float, float]


@PROTOCOLS.register_module()
class RegressionProbe(Protocol):
    """Ridge regression on features that were extracted once; its strength is chosen inside the training pictures.

    Args:
        label: Which of the dataset's labels to predict, one that is a number; None for each of them in turn.
        seed: Of the bootstrap.
    """

    name = 'regression'

    def unsuitable(self, source: FeatureSource) -> str | None:
        """The dataset must have labels that are numbers."""
        labels = source.dataset('train')[0].get('labels', {})
        numbers = [label for label, value in labels.items() if torch.as_tensor(value).is_floating_point()]
        if not numbers:
            return f'the labels {list(labels)} are classes, and it needs a label that is a number, a float'
        return None

    def run(self, source: FeatureSource) -> Iterator[Score | Drawing]:
        """Fit and score for each label that is a number.

        Raises:
            ValueError: The dataset does not have the label; as :func:`check_numbers`.
        """
        train, test = source.features('train'), source.features('test')
        for label in self.labels(train, test):
            yield from with_factor(label, self.evaluate(train, test, label))

    def labels(self, *splits: Any) -> list[str]:
        """The labels to predict: the given one, or all that are numbers.

        Raises:
            ValueError: With the labels that there are.
        """
        found = [
            label
            for label, values in splits[0].labels.items()
            if values.is_floating_point() and all(label in each.labels for each in splits)
        ]
        if not found or self.label not in (None, *found):
            raise ValueError(f'No label {self.label!r} that is a number; the dataset has the numbers {found}.')
        return found if self.label is None else [self.label]

    def evaluate(self, train: Features, test: Features, label: str) -> Iterator[Score]:
        """R² as a fraction and the mean absolute error; ``ci`` is half of the bootstrap interval."""
        y, target = train.labels[label], test.labels[label]
        check_numbers(label, y, target)
        found = errors(fit_ridge(train.x, y).predict(test.x), target, seed=self.seed)
        for metric, value, (low, high) in (
            ('r2', found.r2, found.r2_interval),
            ('mae', found.mae, found.mae_interval),
        ):
            yield Score(metric, value, (high - low) / 2)


def check_numbers(label: str, *splits: Tensor) -> None:
    """Make sure that the numbers of every split are finite and vary.

    Raises:
        ValueError: They do not.
    """
    for name, values in zip(('training', 'test'), splits, strict=True):
        if wrong := int((~values.isfinite()).sum()):
            raise ValueError(f'{label!r} of {wrong} {name} pictures is not finite. Leave these pictures out.')
        if len(values) == 0 or values.min() == values.max():
            shown = values[0].item() if len(values) else 'none'
            raise ValueError(
                f'{label!r} of all {len(values)} {name} pictures is {shown}: there is nothing to predict. Give '
                f'pictures with different values.'
            )


def errors(predicted: Tensor, actual: Tensor, groups: Tensor | None = None, seed: int = 0) -> Errors:
    """Compare predictions with numbers.

    Args:
        predicted: (M,).
        actual: (M,).
        groups: (M,) int64 of pictures that are not independent; None: each picture is a group.
        seed: Of the bootstrap.
    """
    predicted, actual = predicted.double().cpu(), actual.double().cpu()
    error, centred = predicted - actual, actual - actual.mean()
    columns = [torch.ones_like(error), centred, centred.square(), error.square(), error.abs()]
    own = torch.stack(columns, 1)
    r2, mae = _scores(own.sum(0, keepdim=True))
    r2_resampled, mae_resampled = _scores(resampled_totals(own, groups, seed))
    varied = r2_resampled.isfinite()  # a resample of one picture only has no deviation
    return Errors(
        r2.item(),
        percentiles(r2_resampled[varied]),
        mae.item(),
        percentiles(mae_resampled),
    )


def _scores(totals: Tensor) -> tuple[Tensor, Tensor]:
    """R² and mean absolute error of (R, 5) sums of: 1, deviation, its square, squared error, absolute error."""
    count, deviation, square, squared_error, absolute_error = totals.unbind(1)
    return 1 - squared_error / (square - deviation.square() / count), absolute_error / count
