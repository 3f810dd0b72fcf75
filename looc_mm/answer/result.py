"""The result of a comparison: its rows, its table, answer.json and answer.png."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from looc_mm.files import atomic_write
from looc_mm.visualization import draw_answer

from .compare import BASELINES

SHOTS = 5
NEIGHBOURS = 20


@dataclass(frozen=True)
class Row:
    """One representation on the test pictures; accuracies are top-1 in percent.

    Attributes:
        name: Of the representation.
        width: C.
        linear: Of a linear classifier.
        linear_interval: Its 95 % interval (Wilson's, where each group of pictures counts as one).
        knn: Of the vote of the 20 nearest training pictures.
        knn_interval: As ``linear_interval``.
        few_shot: Of a linear classifier from 5 pictures of a class, the mean of ten draws.
        few_shot_ci: Half of the 95 % interval over these draws.
        p: Adjusted p of the comparison of ``linear`` with V's; None for V.
        verdict: 'better', 'no difference' or 'worse' than V; None for V.
        learnt: False for a space that was not learning when its training ended.
    """

    name: str
    width: int
    linear: float
    linear_interval: tuple[float, float]
    knn: float
    knn_interval: tuple[float, float]
    few_shot: float
    few_shot_ci: float
    p: float | None
    verdict: str | None
    learnt: bool


@dataclass(frozen=True)
class Answer:
    """The result of :func:`looc_mm.answer.answer`, as answer.json has it.

    Attributes:
        sentence: What to do, by the rules of :func:`looc_mm.answer.compare.conclude`.
        checkpoint: File.
        experiment: Name of the training config; None if the file has none.
        epoch: Finished epochs; None if the file has none.
        dataset: Name of the labelled folder.
        classes: Names.
        missing_classes: Names of those that a folder lacks.
        train: Number of training pictures.
        test: Number of test pictures.
        groups: Number of groups of the test pictures.
        split: How the pictures were split.
        size: Side of the views in pixels, for every representation of the network.
        sizes: Linear top-1 of V at each size, on a held-out fifth of the training pictures; empty where one was given.
        guess: Top-1 of the most frequent class of the training pictures.
        not_learnt: Spaces that were not learning when their training ended.
        seed: Of the splits, the random weights and the few-shot draws.
        rows: The representations.
    """

    sentence: str
    checkpoint: str
    experiment: str | None
    epoch: int | None
    dataset: str
    classes: tuple[str, ...]
    missing_classes: tuple[str, ...]
    train: int
    test: int
    groups: int
    split: str
    size: int
    sizes: Mapping[int, float]
    guess: float
    not_learnt: list[str]
    seed: int
    rows: list[Row]

    def table(self) -> str:
        """The representations, what they were computed on, and the sentence, as text."""
        head = ['representation', 'width', 'linear', '95 %', f'{NEIGHBOURS}-NN', '95 %', f'{SHOTS}-shot', 'p against V']
        lines = [
            [
                each.name + ('' if each.learnt else ' (not learnt)'),
                str(each.width),
                f'{each.linear:.1f}',
                '{:.1f} to {:.1f}'.format(*each.linear_interval),
                f'{each.knn:.1f}',
                '{:.1f} to {:.1f}'.format(*each.knn_interval),
                f'{each.few_shot:.1f} ± {each.few_shot_ci:.1f}',
                shown_p(each.p, each.verdict),
            ]
            for each in self.rows
        ]
        tried = ', '.join(f'{size} px {value:.1f}' for size, value in self.sizes.items())
        about = [
            f'{self.dataset}: {self.train} training and {self.test} test pictures of {len(self.classes)} classes, '
            f'{self.split}.',
            f'Checkpoint: {self.checkpoint}',
            f'Views of {self.size} px'
            + (f', the best for V on a held-out fifth of the training pictures ({tried}).' if tried else '.'),
            f'Top-1 in %; guessing the most frequent class gives {self.guess:.1f}. The p compare the linear top-1 with '
            f'V on the same pictures.',
        ]
        if self.missing_classes:
            listed = ', '.join(self.missing_classes)
            about.append(f'{len(self.missing_classes)} classes lack pictures, and no score covers them: {listed}.')
        about += not_learnt_note(self.not_learnt)
        return '\n'.join([*about, '', *aligned([head, *lines]), '', self.sentence])


def shown_p(p: float | None, verdict: str | None) -> str:
    """An adjusted p and the verdict; nothing for V."""
    return '' if p is None else ('<0.001' if p < 0.001 else f'{p:.3f}') + f' {verdict}'


def is_learnt(name: str, not_learnt: Sequence[str]) -> bool:
    """Whether a representation is not the embedding of a space that was not learnt, as ``Z_color`` may be."""
    return not any(name.endswith(f'Z_{space}') for space in not_learnt)


def not_learnt_note(not_learnt: Sequence[str]) -> list[str]:
    """A line with the spaces that were not learning when their training ended; none without such spaces."""
    return [f'Not learnt by the end of the training: {", ".join(not_learnt)}.'] if not_learnt else []


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table, whose first and last column are texts."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        '  '.join(
            cell.ljust(width) if column in (0, len(widths) - 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def write(result: Answer, folder: Path) -> None:
    """Write answer.json and answer.png."""
    with atomic_write(folder / 'answer.json') as part:
        part.write_text(json.dumps(asdict(result), indent=2) + '\n')
    rows = [
        (each.name + ('' if each.learnt else ' (not learnt)'), each.linear, each.linear_interval, each.verdict)
        for each in result.rows
    ]
    about = (
        f'{result.dataset}: {result.train} training, {result.test} test pictures, {len(result.classes)} classes; '
        f'views of {result.size} px'
    )
    figure = draw_answer(result.sentence, about, rows, result.guess, baselines=BASELINES)
    with atomic_write(folder / 'answer.png') as part:
        figure.savefig(part, format='png')
