"""Table 5: which spaces a task needs, by a probe on every choice of them."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

from looc_mm.evaluation.source import FeatureSource
from looc_mm.registry import PROTOCOLS

from .base import Protocol, Score, SpacesProtocol, by_training_classes, with_factor


@PROTOCOLS.register_module()
class SpaceAblation(SpacesProtocol):
    """A probe on all 2^S - 1 choices of spaces, and on V where there is one, from features that are extracted once.

    Args:
        probe: Config of the protocol to run on each choice; one that overrides ``evaluate`` alone.
        seed: Of the probe.
    """

    name = 'space_ablation'

    def __init__(self, probe: dict | None = None, seed: int = 0) -> None:
        self.probe: Protocol = PROTOCOLS.build(probe or {'type': 'LinearProbe'}, default_args={'seed': seed})
        super().__init__(self.probe.label, seed)

    def unsuitable(self, source: FeatureSource) -> str | None:
        """The model must have spaces, and the probe must suit it."""
        return super().unsuitable(source) or self.probe.unsuitable(source)

    def run(self, source: FeatureSource) -> Iterator[Score]:
        """The probe's scores, each with its representation."""
        probe = self.probe
        train, test = source.feature_set('train', probe.rotate_train), source.feature_set('test', probe.rotate_test)
        choices = [['V']] if 'V' in train.parts else []
        choices += [list(c) for size in range(1, len(train.spaces) + 1) for c in combinations(train.spaces, size)]
        for choice in choices:
            chosen = 'V' if choice == ['V'] else choice
            for label in probe.labels(train, test):
                fitted, scored = by_training_classes(label, train.select(choice), test.select(choice))
                for score in probe.evaluate(fitted, scored, label):
                    yield from with_factor(label, [replace(score, representation=chosen)])
