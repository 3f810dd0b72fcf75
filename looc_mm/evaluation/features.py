"""Frozen features of a whole dataset, in the dataset's order.

Shapes: N samples of the dataset, A angles for each image (1, or 4 when all are asked for), C feature width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from looc_mm.models.representation import select


@dataclass
class Features:
    """One representation, and the labels that it can be probed for.

    Attributes:
        x: Features, (N * A, C) float32; the A angles of one image are neighbours.
        labels: Label name to (N * A,): int64 of classes, double of numbers.
    """

    x: Tensor
    labels: dict[str, Tensor]


@dataclass
class FeatureSet:
    """All representations of one pass over a dataset.

    Attributes:
        parts: 'V' and every space to (N * A, C) float32; LooC++ has spaces alone.
        labels: Label name to (N * A,): int64 of classes, double of numbers.
    """

    parts: dict[str, Tensor]
    labels: dict[str, Tensor]

    @property
    def spaces(self) -> list[str]:
        """Names of the spaces, in order."""
        return [name for name in self.parts if name != 'V']

    def to(self, device: torch.device | str) -> 'FeatureSet':
        """Copy to a device."""
        moved = ({name: value.to(device) for name, value in each.items()} for each in (self.parts, self.labels))
        return FeatureSet(*moved)

    def select(self, names: Sequence[str] | None = None) -> Features:
        """One representation; see :func:`looc_mm.models.representation.select`."""
        return Features(select(self.parts, names), self.labels)
