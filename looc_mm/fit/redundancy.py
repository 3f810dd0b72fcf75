"""How much two blocks have in common: linear CKA and the mean canonical correlation.

Shapes
    N  pictures        C, D  widths of two blocks
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

#: Pictures that are used at most.
MOST = 2000
#: Share of the variance that the directions for canonical correlations hold.
VARIANCE = 0.99


@dataclass(frozen=True)
class Common:
    """Two blocks; 1 means that one is a linear function of the other.

    Attributes:
        first: A block.
        second: Another block.
        cka: Linear CKA.
        cca: Mean canonical correlation.
        cka_shuffled: Linear CKA where the pictures of the second block are shuffled: the value of unrelated blocks.
        cca_shuffled: The mean canonical correlation of the same.
    """

    first: str
    second: str
    cka: float
    cca: float
    cka_shuffled: float
    cca_shuffled: float


def redundancy(parts: Mapping[str, Tensor], seed: int = 0) -> list[Common]:
    """Compare every pair of blocks, standardised, on at most :data:`MOST` pictures.

    Args:
        parts: Block to (N, C).
        seed: Of the choice of pictures and of the shuffling.
    """
    draw = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(next(iter(parts.values()))), generator=draw)[:MOST]
    order = torch.randperm(len(rows), generator=draw)
    blocks = {name: standardised(x.cpu()[rows]) for name, x in parts.items()}
    main = {name: directions(x) for name, x in blocks.items()}
    return [
        Common(
            first,
            second,
            cka=linear_cka(blocks[first], blocks[second]),
            cca=mean_correlation(main[first], main[second]),
            cka_shuffled=linear_cka(blocks[first], blocks[second][order]),
            cca_shuffled=mean_correlation(main[first], main[second][order]),
        )
        for first, second in combinations(parts, 2)
    ]


def standardised(x: Tensor) -> Tensor:
    """(N, C) double with mean 0 and deviation 1; a channel that does not vary is 0."""
    std, mean = torch.std_mean(x.double(), 0, correction=0)
    return (x.double() - mean) / torch.where(std > 1e-6 * mean.abs(), std, torch.inf)


def linear_cka(x: Tensor, y: Tensor) -> float:
    """Centred kernel alignment with linear kernels (Kornblith et al., 2019, equation 4).

    Args:
        x: (N, C).
        y: (N, D).

    Returns:
        |Y'X|² / (|X'X| |Y'Y|) of the centred features, with Frobenius norms; 0 where a block does not vary.
    """
    x, y = x.double() - x.double().mean(0), y.double() - y.double().mean(0)
    size = (x.T @ x).norm() * (y.T @ y).norm()
    return ((y.T @ x).square().sum() / size).item() if size > 0 else 0.0


def mean_correlation(first: Tensor, second: Tensor) -> float:
    """The mean canonical correlation of two blocks, from their main directions (SVCCA, Raghu et al., 2017).

    Args:
        first: Of :func:`directions`.
        second: Of :func:`directions`, of the same pictures.

    Returns:
        The mean over the directions of the block that has fewer; 0 where a block does not vary.
    """
    if 0 in (first.shape[1], second.shape[1]):
        return 0.0
    return torch.linalg.svdvals(first.T @ second).clamp(max=1).mean().item()


def directions(x: Tensor) -> Tensor:
    """Orthonormal scores of the main directions of (N, C) features, (N, number of directions).

    They hold 99 % of the variance, and are at most N / 10: with more of them, unrelated blocks correlate too.
    """
    centred = x.double() - x.double().mean(0)
    left, sizes, _ = torch.linalg.svd(centred, full_matrices=False)
    variance = sizes.square()
    if variance.sum() <= 1e-12 * len(x):
        return left[:, :0]
    number = 1 + int((variance.cumsum(0) / variance.sum() < VARIANCE).sum())
    return left[:, : min(number, max(1, len(x) // 10))]
