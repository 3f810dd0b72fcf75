"""Robustness to corruptions (paper section 4, Table 3): a classifier of clean images on corrupted ones."""

from collections.abc import Sequence
from typing import Any

import torch

from looc_mm.corruptions import GROUPS
from looc_mm.registry import PROTOCOLS

from .linear import LinearProbe
from .protocol import Data, record


@PROTOCOLS.register_module()
class RobustnessProbe(LinearProbe):
    """Linear evaluation on clean training images, scored on every corruption and severity.

    The paper's column "All" cannot be rebuilt from its own groups; here it is the mean over the corruptions, as the
    corruption benchmark defines it.

    Args:
        dataset: Config of the corrupted test images, to which ``corruption`` and ``severity`` are added.
        corruptions: Names; all fifteen by default.
        severities: Those that are there.
        **kwargs: As of `LinearProbe`.

    Raises:
        ValueError: If a corruption is unknown.
    """

    name = 'robustness'

    def __init__(
        self,
        dataset: dict,
        corruptions: Sequence[str] | None = None,
        severities: Sequence[int] = (1, 2, 3, 4, 5),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        known = [name for group in GROUPS.values() for name in group]
        self.corruptions = list(corruptions or known)
        if unknown := sorted(set(self.corruptions) - set(known)):
            raise ValueError(f'RobustnessProbe got the corruptions {unknown}; known are {known}.')
        self.dataset = dataset
        self.severities = list(severities)

    def run(self, data: Data) -> list[dict[str, Any]]:
        """Top-1 on clean images, per corruption, per group, over all, and over severities of 3 and above."""
        train, test = data.features('train'), data.features('test')
        self.fit_for(train, test)
        top1 = torch.zeros(len(self.corruptions), len(self.severities), dtype=torch.float64)
        for row, corruption in enumerate(self.corruptions):
            chosen = [{**self.dataset, 'corruption': corruption, 'severity': each} for each in self.severities]
            for column, corrupted in enumerate(data.several('test', chosen)):
                top1[row, column] = self.score(corrupted.x, corrupted.labels[self.label])['top1']
        clean = self.score(test.x, test.labels[self.label])['top1']
        return [record(f'top1/{name}', value) for name, value in {'clean': clean, **self.summary(top1)}.items()]

    def summary(self, top1: torch.Tensor) -> dict[str, float]:
        """Means of (corruptions, severities) accuracies by name, group, and together."""
        figures = {name: top1[row].mean().item() for row, name in enumerate(self.corruptions)}
        for group, names in GROUPS.items():
            if present := [figures[name] for name in names if name in figures]:
                figures[group] = sum(present) / len(present)
        figures['all'] = top1.mean().item()
        hard = [column for column, severity in enumerate(self.severities) if severity >= 3]
        if hard:
            figures['d>=3'] = top1[:, hard].mean().item()
        return figures
