"""Same or different? Whether features of two views show that they share an augmentation's parameters.

Shapes
    N  pairs, one of each picture        C  width        G  views of a gallery        R  resamples
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from looc_mm.evaluation.linear_classifier import LinearClassifier

RESAMPLES = 200
CHUNK = 1000  # pictures whose comparisons are in memory at a time
Z95 = 1.959964


class Value(NamedTuple):
    """A value with its 95 % interval: 1.96 standard errors of a bootstrap over pictures."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Scaler:
    """Mean and deviation of the features of the training pictures; a channel that does not vary stays 0."""

    mean: Tensor
    std: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Standardise (N, C)."""
        return (x - self.mean) / self.std


def standardise(x: Tensor) -> Scaler:
    """The :class:`Scaler` of (N, C) features."""
    std, mean = torch.std_mean(x, 0, correction=0)
    return Scaler(mean, torch.where(std > 1e-6 * mean.abs(), std, torch.inf))


def auc(positive: Tensor, negative: Tensor) -> float:
    """The area under the ROC curve by ranks: the share of (positive, negative) pairs in order; ties count half.

    Args:
        positive: (P,) scores of the pairs that share the parameters.
        negative: (Q,) scores of the others.
    """
    _, inverse, counts = torch.cat([positive, negative]).unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1) / 2)[inverse]  # the mean of equal ones, from 1
    p, q = len(positive), len(negative)
    return ((ranks[:p].double().sum() - p * (p + 1) / 2) / (p * q)).item()


def interval(value: float, resampled: Tensor) -> Value:
    """A value and 1.96 standard deviations of its (R,) resamples on both sides."""
    half = Z95 * resampled.std().item()
    return Value(value, value - half, value + half)


def auc_interval(positive: Tensor, negative: Tensor, weights: Tensor) -> Value:
    """:func:`auc` of N pictures with one positive and one negative pair each, and its interval.

    Args:
        positive: (N,) scores.
        negative: (N,) scores.
        weights: Of :func:`looc_mm.evaluation.bootstrap.resample`.
    """
    total = torch.zeros(len(weights), dtype=torch.double)
    for rows in torch.arange(len(positive)).split(CHUNK):
        difference = positive[rows, None] - negative
        total += ((weights[:, rows].float() @ ((difference.sign().float() + 1) / 2)).double() * weights).sum(1)
    return interval(auc(positive, negative), total / len(positive) ** 2)


def cosine_scores(left: Tensor, right: Tensor) -> Tensor:
    """The cosines of N standardised pairs."""
    return F.cosine_similarity(left, right)


def pair_features(left: Tensor, right: Tensor) -> Tensor:
    """(N, 2C): products and absolute differences of standardised features."""
    return torch.cat([left * right, (left - right).abs()], 1)


def fit_probe(query: Tensor, same: Tensor, other: Tensor) -> LinearClassifier:
    """A logistic regression that distinguishes ``same`` from ``other``, on standardised training features (N, C)."""
    x = torch.cat([pair_features(query, same), pair_features(query, other)])
    y = torch.cat([torch.ones(len(query)), torch.zeros(len(query))]).long()
    return LinearClassifier(l2=0.03, max_iter=200).fit(x, y, 2)


def probe_scores(probe: LinearClassifier, left: Tensor, right: Tensor) -> Tensor:
    """(N,) logits of 'same'."""
    logits = probe.predict(pair_features(left, right))
    return logits[:, 1] - logits[:, 0]


def hits(query: Tensor, gallery: Tensor) -> Tensor:
    """How often the first view of a gallery is the nearest one to the query by the cosine.

    Args:
        query: (N, C) standardised.
        gallery: (N, G, C), the view that shares the parameters first.

    Returns:
        (N,) 1 or 0; 1 / T where T views are equally near and the first is one of them.
    """
    cosine = F.cosine_similarity(query[:, None], gallery, dim=-1)  # N x G
    ties = cosine >= cosine.amax(1, keepdim=True) - 1e-6
    return ties[:, 0].double() / ties.sum(1)


def mean_interval(values: Tensor, weights: Tensor) -> Value:
    """The mean of (N,) values and its interval."""
    return interval(values.double().mean().item(), weights @ values.double() / len(values))
