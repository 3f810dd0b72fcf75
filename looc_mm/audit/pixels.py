"""What the pixels of a view show without any network.

Shapes
    B  views        h, w  a view in pixels
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from looc_mm.answer.baselines import colour_histogram

CELLS = 4
DIRECTIONS = 8


def pixel_statistics(images: Tensor) -> Tensor:
    """The colour histogram of ``looc test``, and for each of 4 x 4 cells the colours and the directions of edges.

    Args:
        images: (B, 3, h, w) float in [0, 1].

    Returns:
        (B, 480): 256 bins of colour; then the mean and the deviation of each channel and the square roots of the shares
        of 8 directions of the brightness gradient, in each cell.
    """
    rows = (images * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    histogram = torch.from_numpy(np.stack([colour_histogram(each) for each in rows]))
    return torch.cat([histogram, _cells(images.cpu()).flatten(1)], 1)


def _cells(images: Tensor) -> Tensor:
    """(B, 14, 4, 4)."""
    mean = F.adaptive_avg_pool2d(images, CELLS)
    square = F.adaptive_avg_pool2d(images.square(), CELLS)
    gray = F.pad(images.mean(1, keepdim=True), (1, 1, 1, 1), mode='replicate')
    dx, dy = gray[..., 1:-1, 2:] - gray[..., 1:-1, :-2], gray[..., 2:, 1:-1] - gray[..., :-2, 1:-1]
    sector = ((torch.atan2(dy, dx) / math.tau * DIRECTIONS).round() % DIRECTIONS).long()  # B x 1 x h x w
    size = torch.hypot(dx, dy)
    split = torch.zeros(len(images), DIRECTIONS, *images.shape[-2:]).scatter_(1, sector, size)
    edges = F.adaptive_avg_pool2d(split, CELLS)
    shares = (edges / edges.sum(1, keepdim=True).clamp_min(1e-6)).sqrt()
    return torch.cat([mean, (square - mean.square()).clamp_min(0).sqrt(), shares], 1)
