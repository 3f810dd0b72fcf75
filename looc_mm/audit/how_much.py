"""How much? The change of an augmentation's parameters from the features of both views, by ridge regression.

Shapes
    N  pairs        C  width        T  targets        R  resamples
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .tell import Value, interval

STRENGTHS = 5
#: Ridge strengths that are tried, for standardised features.
ALPHAS = tuple(10.0**power for power in range(-1, 7))
#: More targets, as a convolution's kernel has, are no few numbers that a person would ask for.
MOST_TARGETS = 16
LEAST_PAIRS = 20  # of a target on each side


class Ridge(NamedTuple):
    """A fitted regression: ``x @ weight + bias``, and the chosen strength."""

    weight: Tensor
    bias: Tensor
    alpha: float

    def predict(self, x: Tensor) -> Tensor:
        """(N,) of (N, C)."""
        return x.double() @ self.weight + self.bias


def fit_ridge(x: Tensor, y: Tensor, alphas: Sequence[float] = ALPHAS) -> Ridge:
    """Ridge regression with an intercept; its strength has the least squared error when each row is left out in turn.

    The errors of rows that are left out have a closed form: residual / (1 - leverage).

    Args:
        x: (N, C); each picture has one row, so that the rows of the others are other pictures.
        y: (N,).
        alphas: Strengths to choose from.
    """
    x, y = x.double(), y.double()
    mean, middle = x.mean(0), y.mean()
    centred, target = x - mean, y - middle
    if x.shape[1] <= len(x):
        squares, basis = torch.linalg.eigh(centred.T @ centred)
        scores = centred @ basis  # N x C, orthogonal columns
    else:
        squares, basis = torch.linalg.eigh(centred @ centred.T)
        squares = squares.clamp_min(0)
        scores = basis * squares.sqrt()
    squares = squares.clamp_min(0)
    along = scores.T @ target
    errors, fits = [], []
    for alpha in alphas:
        coefficients = along / (squares + alpha)
        leverage = 1 / len(x) + (scores.square() / (squares + alpha)).sum(1)
        errors.append(((target - scores @ coefficients) / (1 - leverage).clamp_min(1e-9)).square().mean().item())
        fits.append(coefficients)
    best = min(range(len(alphas)), key=errors.__getitem__)
    if x.shape[1] <= len(x):
        weight = basis @ fits[best]
    else:  # scores = centred @ (centred.T @ basis / sqrt(squares))
        weight = centred.T @ (basis @ (fits[best] / squares.clamp_min(1e-30).sqrt() * (squares > 0)))
    return Ridge(weight, middle - mean @ weight, alphas[best])


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
        found.append(Prediction(fit_ridge(x[fit], values[0]).predict(x[held]), values[1], held))
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
