"""Invariance: the cosine of two views, raw and after whitening with the covariance of the data (arXiv 2111.11398).

Shapes
    N  pictures        C  width
"""

import torch
from torch import Tensor
from torch.nn import functional as F

RIDGE = 1e-3  # of the mean variance, so that fewer pictures than channels suffice


def whitening(x: Tensor) -> tuple[Tensor, Tensor]:
    """The mean and the inverse root of the covariance of (N, C) features: (C,) and (C, C)."""
    x = x.double()
    mean = x.mean(0)
    centred = x - mean
    covariance = centred.T @ centred / len(x)
    variance, basis = torch.linalg.eigh(covariance)
    variance = variance.clamp_min(0) + RIDGE * variance.clamp_min(0).mean()
    scale = torch.where(variance > 0, variance.clamp_min(1e-30).rsqrt(), 0.0)
    return mean, basis * scale @ basis.T


def whitened_cosine(left: Tensor, right: Tensor, mean: Tensor, root: Tensor) -> Tensor:
    """(N,) cosines of whitened (N, C) features; without whitening, a large mean makes all cosines large."""
    return F.cosine_similarity((left.double() - mean) @ root, (right.double() - mean) @ root)
