"""Table 5: which spaces a task wants, by probing every choice of them."""

from itertools import combinations
from typing import Any

from looc_mm.registry import PROTOCOLS

from .protocol import Data, FrozenProtocol


@PROTOCOLS.register_module()
class SpaceAblation(FrozenProtocol):
    """A probe on all 2^S - 1 choices of spaces, and on V where there is one, from features that are extracted once.

    Args:
        probe: Config of the protocol to run on each choice; one that needs no more than two splits.
        seed: Handed to it.

    Raises:
        ValueError: If the model has no spaces.
    """

    name = 'space_ablation'

    def __init__(self, probe: dict | None = None, seed: int = 0) -> None:
        self.probe: FrozenProtocol = PROTOCOLS.build(probe or {'type': 'LinearProbe'}, default_args={'seed': seed})

    def run(self, data: Data) -> list[dict[str, Any]]:
        """The probe's figures, each with its ``representation``."""
        train, test = (data.bank('train', self.probe.rotate_train), data.bank('test', self.probe.rotate_test))
        spaces = train.spaces
        if not spaces:
            raise ValueError('SpaceAblation compares spaces, and the model has none.')
        choices: list[list[str] | None] = [None] if 'V' in train.parts else []
        choices += [list(choice) for size in range(1, len(spaces) + 1) for choice in combinations(spaces, size)]
        return [
            {**figure, 'representation': choice or 'V'}
            for choice in choices
            for figure in self.probe.evaluate(train.choose(choice), test.choose(choice))
        ]
