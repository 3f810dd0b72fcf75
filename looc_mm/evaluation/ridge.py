"""Ridge regression with a strength that is chosen inside the training pictures.

Shapes
    N  training pictures        C  feature width
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

#: Strengths that are tried, for standardised features.
ALPHAS = tuple(10.0**power for power in range(-1, 7))


class Ridge(NamedTuple):
    """A fitted regression of features as they are.

    Attributes:
        weight: (C,) double.
        bias: Double.
        alpha: The chosen strength.
        error: Mean squared error of the groups that are left out in turn.
    """

    weight: Tensor
    bias: Tensor
    alpha: float
    error: float

    def predict(self, x: Tensor) -> Tensor:
        """(N,) double of (N, C)."""
        return x.to(self.weight) @ self.weight + self.bias


def fit_ridge(
    x: Tensor, y: Tensor, groups: Tensor | None = None, alphas: Sequence[float] = ALPHAS, standardise: bool = True
) -> Ridge:
    """Ridge regression with an intercept.

    The strength has the least squared error where each group of pictures is left out in turn. These errors have a
    closed form: (I - H)^-1 e for the rows of the group, with the hat matrix H and the residuals e of all pictures.

    Args:
        x: (N, C).
        y: (N,).
        groups: (N,) int64; None: each picture is a group.
        alphas: Strengths to choose from.
        standardise: Whether the features are divided by their deviations; if not, they are taken as they are.
    """
    x, y = x.double(), y.to(x.device).double()
    mean, middle = x.mean(0), y.mean()
    std = torch.ones_like(mean)
    if standardise:
        std = x.std(0, correction=0)
        std = torch.where(std > 1e-6 * mean.abs(), std, torch.inf)  # a dead channel has no weight
    z, target = (x - mean) / std, y - middle
    if x.shape[1] <= len(x):
        squares, basis = torch.linalg.eigh(z.T @ z)
        scores = z @ basis  # N x C, orthogonal columns
    else:
        squares, basis = torch.linalg.eigh(z @ z.T)
        scores = basis * squares.clamp_min(0).sqrt()
    squares = squares.clamp_min(0)
    along = scores.T @ target
    together = [] if groups is None else several(groups)
    errors, fits = [], []
    for alpha in alphas:
        coefficients = along / (squares + alpha)
        residual = target - scores @ coefficients
        leverage = 1 / len(x) + (scores.square() / (squares + alpha)).sum(1)
        error = residual / (1 - leverage).clamp_min(1e-9)
        for rows in together:
            hat = 1 / len(x) + (scores[rows] / (squares + alpha)) @ scores[rows].T
            error[rows] = torch.linalg.solve(torch.eye(len(rows)).to(hat) - hat, residual[rows])
        errors.append(error.square().mean().item())
        fits.append(coefficients)
    best = min(range(len(alphas)), key=errors.__getitem__)
    if x.shape[1] <= len(x):
        weight = basis @ fits[best]
    else:  # scores = z @ (z.T @ basis / sqrt(squares))
        weight = z.T @ (basis @ (fits[best] / squares.clamp_min(1e-30).sqrt() * (squares > 0)))
    weight = weight / std
    return Ridge(weight, middle - mean @ weight, alphas[best], errors[best])


def several(groups: Tensor) -> list[Tensor]:
    """The rows of each group that has more than one."""
    _, index, counts = groups.cpu().unique(return_inverse=True, return_counts=True)
    rows = index.argsort(stable=True).split(counts.tolist())
    return [each for each in rows if len(each) > 1]
