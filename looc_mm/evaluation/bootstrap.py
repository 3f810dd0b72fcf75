"""Intervals by resampling pictures, or whole groups of pictures that are not independent.

Shapes
    N  pictures        G  groups        T  totals        R  resamples
"""

import torch
from torch import Tensor

RESAMPLES = 2000
#: Resamples whose draws are in memory at a time.
CHUNK = 100


def resample(count: int, generator: torch.Generator, resamples: int) -> Tensor:
    """How often each of ``count`` pictures is in each resample, (R, count) double."""
    drawn = torch.randint(count, (resamples, count), generator=generator)
    ones = torch.ones(drawn.shape, dtype=torch.double)
    return torch.zeros_like(ones).scatter_add_(1, drawn, ones)


def resampled_totals(values: Tensor, groups: Tensor | None = None, seed: int = 0, resamples: int = RESAMPLES) -> Tensor:
    """The sums of values over each resample of G groups, drawn with replacement.

    Args:
        values: (N, T).
        groups: (N,) int64; None: each picture is a group.
        seed: Of the draws.
        resamples: R.

    Returns:
        (R, T) double, on the CPU.
    """
    values = values.double().cpu()
    if groups is not None:
        _, index = groups.cpu().unique(return_inverse=True)
        values = values.new_zeros(int(index.max()) + 1, values.shape[1]).index_add_(0, index, values)  # G x T
    draw = torch.Generator().manual_seed(seed)
    totals = [
        resample(len(values), draw, min(CHUNK, resamples - start)) @ values for start in range(0, resamples, CHUNK)
    ]
    return torch.cat(totals)


def percentiles(values: Tensor, outside: float = 0.05) -> tuple[float, float]:
    """The interval of (R,) resampled values that leaves out a share of them, half on each side."""
    low, high = values.double().quantile(torch.tensor([outside / 2, 1 - outside / 2], dtype=torch.double)).tolist()
    return low, high


def mean_difference(
    first: Tensor, second: Tensor, groups: Tensor | None = None, seed: int = 0
) -> tuple[float, tuple[float, float]]:
    """The paired difference of two means and its 95 % interval.

    Args:
        first: (N,), one value of each picture.
        second: (N,), of the same pictures.
        groups: (N,) int64; None: each picture is a group.
        seed: Of the resamples.

    Returns:
        mean(first) - mean(second); low and high.
    """
    difference = first.double().cpu() - second.double().cpu()
    totals = resampled_totals(torch.stack([difference, torch.ones_like(difference)], 1), groups, seed)
    return difference.mean().item(), percentiles(totals[:, 0] / totals[:, 1])
