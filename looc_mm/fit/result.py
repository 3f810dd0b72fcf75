"""The result of ``looc fit``: its table, its sentence and fit.json."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from looc_mm.answer.result import aligned, not_learnt_note
from looc_mm.files import atomic_write

from .choose import LEAST_GAIN, Scales, Step
from .redundancy import Common

Interval = tuple[float, float]


@dataclass(frozen=True)
class Fit:
    """The result of :func:`looc_mm.fit.fit`, as fit.json has it; accuracies are top-1 in percent.

    Attributes:
        sentence: What to use, by :func:`conclude`.
        chosen: Block to scale, of the representation that is written.
        better: Whether the combination is better than V beyond the interval.
        combination: Block to scale, what cross-validation chose.
        v: Block to scale, V with the best scale.
        steps: From V to the combination, by cross-validation inside the training pictures.
        v_top1: Of V on held-out pictures.
        v_interval: Its 95 % interval.
        top1: Of the combination on the same pictures.
        top1_interval: Its 95 % interval.
        difference: ``top1 - v_top1``.
        interval: Its 95 % interval, by a paired bootstrap.
        combinations: What was chosen for each set of held-out pictures; the choice does not use them.
        redundancy: Of each pair of blocks.
        widths: Width of each block.
        checkpoint: File.
        experiment: Name of the training config; None if the file has none.
        epoch: Finished epochs; None if the file has none.
        dataset: Name of the labelled folder.
        classes: Names.
        train: Number of pictures that the representation is fitted on.
        held_out: Number of held-out pictures.
        groups: Number of their groups.
        split: How pictures were held out.
        size: Side of the views in pixels.
        not_learnt: Spaces that were not learning when their training ended.
        seed: Of the splits, the folds and the bootstrap.
    """

    sentence: str
    chosen: Scales
    better: bool
    combination: Scales
    v: Scales
    steps: tuple[Step, ...]
    v_top1: float
    v_interval: Interval
    top1: float
    top1_interval: Interval
    difference: float
    interval: Interval
    combinations: tuple[Scales, ...]
    redundancy: tuple[Common, ...]
    widths: dict[str, int]
    checkpoint: str
    experiment: str | None
    epoch: int | None
    dataset: str
    classes: tuple[str, ...]
    train: int
    held_out: int
    groups: int
    split: str
    size: int
    not_learnt: list[str]
    seed: int

    def table(self) -> str:
        """What was compared, the steps, the redundancy, and the sentence, as text."""
        about = [
            f'{self.dataset}: fitted on {self.train} pictures of {len(self.classes)} classes; {self.held_out} '
            f'held-out pictures, {self.split}.',
            f'Checkpoint: {self.checkpoint}; views of {self.size} px.',
        ]
        about += not_learnt_note(self.not_learnt)
        steps = [
            ['cross-validation inside the training pictures', 'loss', 'top-1'],
            *([shown(each.scales), f'{each.loss:.4f}', f'{each.top1:.1f}'] for each in self.steps),
        ]
        held = [
            ['held-out pictures', 'top-1', '95 %'],
            [shown(self.v), f'{self.v_top1:.1f}', '{:.1f} to {:.1f}'.format(*self.v_interval)],
        ]
        if self.combination != self.v:
            held.append([shown(self.combination), f'{self.top1:.1f}', '{:.1f} to {:.1f}'.format(*self.top1_interval)])
        common = [
            ['redundancy', 'CKA', 'shuffled', 'correlation', 'shuffled'],
            *(
                [
                    f'{each.first} and {each.second}',
                    *(f'{value:.2f}' for value in (each.cka, each.cka_shuffled, each.cca, each.cca_shuffled)),
                ]
                for each in self.redundancy
            ),
        ]
        tables = ['\n'.join(aligned(each)) for each in (steps, held, common) if len(each) > 1]
        other = [each for each in self.combinations if each != self.combination]
        note = []
        if len(self.combinations) > 1:
            agree = len(self.combinations) - len(other)
            note = [
                f'{agree} of {len(self.combinations)} choices without the held-out pictures are the same combination'
                + (f'; the others: {"; ".join(map(shown, other))}.' if other else '.')
            ]
        return '\n\n'.join(['\n'.join(about), *tables, *note, self.sentence])


def conclude(
    v: Scales,
    combination: Scales,
    parts: Sequence[str],
    v_top1: float,
    top1: float,
    interval: Interval,
    held_out: int,
) -> tuple[bool, str]:
    """Whether the combination is better than V beyond the interval, and the sentence.

    Args:
        v: V with the best scale.
        combination: What cross-validation chose.
        parts: Names of all blocks.
        v_top1: Of V.
        top1: Of the choice on the same pictures.
        interval: Of the difference.
        held_out: Number of pictures.
    """
    low, high = interval
    numbers = f'{top1:.1f} against {v_top1:.1f} for V on {held_out} held-out pictures'
    difference = f'{top1 - v_top1:+.1f}, 95 % interval {low:+.1f} to {high:+.1f}'
    if [*parts] == ['V']:
        return False, f'Use V ({v_top1:.1f} on {held_out} held-out pictures): the model has no spaces.'
    if {*combination} == {*v} and len({*combination.values()}) == 1:
        return False, (
            f'Use V ({v_top1:.1f} on {held_out} held-out pictures): in cross-validation no combination with the spaces '
            f'has a loss that is lower by {100 * LEAST_GAIN:g} %.'
        )
    if low > 0:
        return True, f'Use {shown(combination)}: {numbers}, better beyond the interval ({difference}).'
    return False, f'Use V: nothing beats V beyond the interval. {shown(combination)} has {numbers} ({difference}).'


def shown(scales: Scales) -> str:
    """The blocks with their scales, such as ``0.32 V + 1 Z_color``."""
    return ' + '.join(f'{scale:g} {name if name == "V" else f"Z_{name}"}' for name, scale in scales.items())


def write(result: Fit, folder: Path, network: dict[str, Any] | None = None) -> None:
    """Write fit.json, with what is known of the network's file."""
    with atomic_write(folder / 'fit.json') as part:
        part.write_text(json.dumps({**asdict(result), 'network': network}, indent=2) + '\n')
