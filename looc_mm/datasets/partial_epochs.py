"""Epochs that are shorter or longer than a pass over the data."""

from collections.abc import Iterator
from typing import Any

import torch
from mmengine.dataset import DefaultSampler

from looc_mm.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class PartialEpochs(DefaultSampler):
    """Epochs of a chosen length; each continues where the last one ended, so every sample is seen equally often.

    For a training that has time for few passes over the data, or less than one. A pass is shuffled as
    ``DefaultSampler`` shuffles an epoch.

    Args:
        dataset: Any dataset.
        pictures: Samples of an epoch, over all processes; rounded down to a multiple of the number of processes.
        **kwargs: The arguments of ``DefaultSampler``: ``shuffle`` and ``seed``.

    Raises:
        ValueError: ``pictures`` is below the number of processes.
    """

    def __init__(self, dataset: Any, pictures: int, **kwargs: Any) -> None:
        super().__init__(dataset, **kwargs)
        if pictures < self.world_size:
            raise ValueError(f'PartialEpochs got pictures={pictures}; it is at least {self.world_size}.')
        self.num_samples = pictures // self.world_size
        self.total_size = self.num_samples * self.world_size

    def __iter__(self) -> Iterator[int]:
        """Iterate over the indices of this rank."""
        length = len(self.dataset)
        start = (
            self.epoch * self.total_size
        )  # where the processes cannot share all pictures, the next epoch has the rest
        passes = range(start // length, (start + self.total_size - 1) // length + 1)
        order = torch.cat([self._pass(each) for each in passes])
        first = start - passes[0] * length
        return iter(order[first : first + self.total_size][self.rank :: self.world_size].tolist())

    def _pass(self, number: int) -> torch.Tensor:
        """(N,) int64: the order of a pass over the data."""
        if not self.shuffle:
            return torch.arange(len(self.dataset))
        return torch.randperm(len(self.dataset), generator=torch.Generator().manual_seed(self.seed + number))
