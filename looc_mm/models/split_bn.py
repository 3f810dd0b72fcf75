"""Split batch norm: one process normalises as several small ones would (MoCo's notebook for CIFAR-10).

With shuffled batch norm on one device there is no other process to exchange images with: keys are encoded in the very
batch of their queries. Here a batch is normalised in contiguous groups, and the shuffle mixes the key images.

Shapes
    B  rows of the batch        G  groups of B / G rows        C  channels
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from looc_mm.registry import MODELS


@MODELS.register_module('SplitBN')
class SplitBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over each of G groups of consecutive rows: ``model.backbone.norm_cfg=dict(type='SplitBN', splits=8)``.

    The running statistics take the mean of the groups'. Outside training it is plain batch norm, whose checkpoints it
    shares.

    Args:
        num_features: C.
        splits: G, which divides the batch; MoCo's notebook has 8.
        eps: As of :class:`torch.nn.BatchNorm2d`.
        momentum: As of :class:`torch.nn.BatchNorm2d`.

    Raises:
        ValueError: If there is no group; in training, if G does not divide the batch.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def __init__(self, num_features: int, splits: int = 8, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(num_features, eps, momentum)
        if splits < 1:
            raise ValueError(f'SplitBN got splits={splits}; it is at least 1.')
        self.splits = splits

    def forward(self, images: Tensor) -> Tensor:
        """Normalise (B, C, h, w)."""
        if not self.training:
            return super().forward(images)
        if len(images) % self.splits:
            raise ValueError(
                f'SplitBN(splits={self.splits}) got a batch of {len(images)}, which it cannot split evenly. Make '
                f'train_dataloader.batch_size a multiple of model.backbone.norm_cfg.splits, with drop_last=True.'
            )
        means = self.running_mean.repeat(self.splits, 1)  # G x C
        variances = self.running_var.repeat(self.splits, 1)
        groups = [
            F.batch_norm(group, mean, variance, self.weight, self.bias, True, self.momentum, self.eps)
            for group, mean, variance in zip(images.chunk(self.splits), means, variances, strict=True)
        ]
        self.running_mean.copy_(means.mean(0))
        self.running_var.copy_(variances.mean(0))
        self.num_batches_tracked += 1
        return torch.cat(groups)
