"""k nearest neighbours by cosine: classification without any training (Wu et al., 2018).

Shapes: N training samples, M test samples, C feature width, K classes.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from looc_mm.evaluation.features import Features
from looc_mm.evaluation.nearest import nearest
from looc_mm.evaluation.source import FeatureSource
from looc_mm.registry import PROTOCOLS

from .base import Protocol, Score, accuracies


@PROTOCOLS.register_module()
class KNNProbe(Protocol):
    """Vote of the k nearest training samples.

    Args:
        label: Which of the dataset's labels to predict; None for each of them in turn.
        k: Number of neighbours, at most the number of training samples.
        temperature: A neighbour of cosine s votes with weight exp(s / temperature); None for equal votes.
        seed: Not used; every protocol is given one.

    Raises:
        ValueError: If k or the temperature is not positive.
    """

    name = 'knn'

    def __init__(self, label: str | None = None, k: int = 20, temperature: float | None = 0.07, seed: int = 0) -> None:
        if k < 1 or (temperature is not None and temperature <= 0):
            raise ValueError(f'KNNProbe got k={k}, temperature={temperature}; both are positive.')
        super().__init__(label, seed)
        self.k = k
        self.temperature = temperature

    def unsuitable(self, source: FeatureSource) -> str | None:
        """There must be as many training images as neighbours."""
        images = len(source.dataset('train'))
        return None if images >= self.k else f'it needs k={self.k} training images, and there are {images}'

    def evaluate(self, train: Features, test: Features, label: str) -> Iterator[Score]:
        """Vote, and count how often the best class, or one of the best five that have a vote, is right.

        Raises:
            ValueError: If there are fewer training samples than neighbours.
        """
        votes = self.votes(train.x, train.labels[label], test.x)
        for metric, value in accuracies(votes, test.labels[label]).items():
            yield Score(metric, value)

    def votes(self, gallery: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
        """(M, K) logarithm of the weight of each class; -inf for a class without a neighbour, which is no guess.

        With logarithms no temperature is too low: a weight neither overflows nor becomes 0.

        Args:
            gallery: (N, C).
            labels: (N,) int64 in [0, K).
            queries: (M, C).
        """
        cosine, index = nearest(gallery, queries, self.k)  # M x k
        voted = labels[index]
        weight = torch.zeros_like(cosine) if self.temperature is None else cosine / self.temperature
        empty = weight.new_full((len(queries), int(labels.max()) + 1), -float('inf'))
        highest = empty.scatter_reduce(1, voted, weight, 'amax')
        total = torch.zeros_like(empty).scatter_add_(1, voted, (weight - highest.gather(1, voted)).exp())
        return highest + total.log()
