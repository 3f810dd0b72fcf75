"""How much? The change of an augmentation's parameters from the features of both views, by ridge regression.

Shapes
    N  pairs        C  width        T  targets        R  resamples
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from looc_mm.evaluation.ridge import fit_ridge

from .tell import Value, interval

STRENGTHS = 5
#: More targets, as a convolution's kernel has, are no few numbers that a person would ask for.
MOST_TARGETS = 16
LEAST_PAIRS = 20  # of a target on each side


class Prediction(NamedTuple):
    """Held-out rows of one target: what was predicted, what it was, and the rows."""

    predicted: Tensor
    actual: Tensor
    rows: Tensor


def predict(x: Tensor, y: Tensor, visible: Tensor, train: Tensor, test: Tensor) -> tuple[list[Prediction], int]:
    """Fit each target on training pictures and predict it on held-out ones.

    Args:
        x: (N, 2C), standardised features of both views.
        y: (N, T).
        visible: (N, T) bool; the others are left out.
        train: Rows to fit on.
        test: Rows to predict; no picture is on both sides.

    Returns:
        Of each target that varies on both sides, and the number of the other targets.
    """
    found: list[Prediction] = []
    for column in range(y.shape[1]):
        fit, held = (rows[visible[rows, column]] for rows in (train, test))
        values = [y[rows, column] for rows in (fit, held)]
        if min(map(len, values)) < LEAST_PAIRS or not all(each.std() > 1e-9 for each in values):
            continue
        found.append(Prediction(fit_ridge(x[fit], values[0], standardise=False).predict(x[held]), values[1], held))
    return found, y.shape[1] - len(found)


def r2(predictions: Sequence[Prediction], rows: Tensor, weights: Tensor) -> Value:
    """The mean R² of the targets and its interval.

    Args:
        predictions: Of :func:`predict`.
        rows: (M,) the held-out pictures of ``weights``, in order.
        weights: (R, M), how often each is in each resample.
    """
    place = {row: index for index, row in enumerate(rows.tolist())}
    values, resampled = [], []
    for predicted, actual, held in predictions:
        w = weights[:, torch.tensor([place[row] for row in held.tolist()])]
        w = torch.cat([torch.ones(1, len(held), dtype=w.dtype), w])
        mean = w @ actual / w.sum(1)
        spread = (w * (actual - mean[:, None]).square()).sum(1)
        scores = 1 - w @ (actual - predicted).square() / spread
        values.append(scores[0].item())
        resampled.append(scores[1:])
    return interval(sum(values) / len(values), torch.stack(resampled).mean(0))


def r2_by_strength(predictions: Sequence[Prediction]) -> list[float]:
    """The mean R² at five strengths: fifths of the held-out pairs, from the smallest change to the largest.

    R² is against the mean of all held-out pairs. So a value at or below 0 means that changes of this size are not seen.
    """
    totals = [0.0] * STRENGTHS
    for predicted, actual, _ in predictions:
        centred = actual - actual.mean()
        for index, rows in enumerate(centred.abs().argsort(stable=True).tensor_split(STRENGTHS)):
            spread = centred[rows].square().sum().clamp_min(1e-12)
            totals[index] += (1 - (actual - predicted)[rows].square().sum() / spread).item() / len(predictions)
    return totals
