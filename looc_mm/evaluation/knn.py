"""k nearest neighbours by cosine: what a representation tells without any training (Wu et al., 2018).

Shapes: N training samples, M test samples, C feature width, K classes.
"""

from typing import Any

import torch
from torch import Tensor

from looc_mm.registry import PROTOCOLS

from .features import Features
from .nearest import nearest
from .protocol import FrozenProtocol, accuracies, factor_of, record, require_label


@PROTOCOLS.register_module()
class KNNProbe(FrozenProtocol):
    """Vote of the k nearest training samples.

    Args:
        label: Which of the dataset's labels to predict.
        k: Number of neighbours, at most the number of training samples.
        temperature: A neighbour of cosine s votes with weight exp(s / temperature); None for equal votes.
        seed: Not used; every protocol is given one.

    Raises:
        ValueError: If k or the temperature is not positive.
    """

    name = 'knn'

    def __init__(self, label: str = 'gt_label', k: int = 20, temperature: float | None = 0.07, seed: int = 0) -> None:
        if k < 1 or (temperature is not None and temperature <= 0):
            raise ValueError(f'KNNProbe got k={k}, temperature={temperature}; both are positive.')
        self.label = label
        self.k = k
        self.temperature = temperature

    def evaluate(self, train: Features, test: Features) -> list[dict[str, Any]]:
        """Vote, and count how often the best class, or one of the best five, is right."""
        require_label((train, test), self.label)
        votes = self.votes(train.x, train.labels[self.label], test.x)
        target = test.labels[self.label]
        factor = factor_of(self.label)
        return [record(metric, value, **factor) for metric, value in accuracies(votes, target).items()]

    def votes(self, gallery: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
        """(M, K) weight of each class among the neighbours.

        Args:
            gallery: (N, C).
            labels: (N,) int64 in [0, K).
            queries: (M, C).
        """
        cosine, index = nearest(gallery, queries, self.k)  # M x k
        weight = torch.ones_like(cosine) if self.temperature is None else (cosine / self.temperature).exp()
        empty = weight.new_zeros(len(queries), int(labels.max()) + 1)
        return empty.scatter_add_(1, labels[index], weight)
