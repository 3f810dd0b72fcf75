"""The result of an audit: its table, audit.json and the heat map audit.png."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from looc_mm.files import atomic_write

from .tell import Value

PIXELS, RANDOM, SHUFFLED, CONTROL = 'pixel statistics', 'random weights', 'shuffled pairs', 'control'


@dataclass(frozen=True)
class Cell:
    """What one representation knows about one augmentation; values with 95 % intervals over pictures.

    Attributes:
        representation: Name of the row.
        augmentation: Name of the column.
        pairs: Held-out pictures with pairs that differ.
        left_out: Pictures of both splits without, because no parameters differ or the pixels are the same.
        cosine: Area under the ROC curve of the cosine.
        probe: The same of the logistic probe.
        hit: Rate of the nearest of 50 views; None if it was not computed.
        r2: Of the change of the parameters; None without numeric targets.
        r2_by_strength: The same for fifths of the changes, from small to large.
        targets_left_out: Parameters that do not vary, or that are seen in too few pictures.
        values_left_out: Single parameters of a pair that have no effect, such as the hue of a grey picture.
        raw: Mean cosine of two views that differ in this augmentation alone.
        whitened: The same after whitening.
    """

    representation: str
    augmentation: str
    pairs: int
    left_out: int
    cosine: Value
    probe: Value
    hit: Value | None = None
    r2: Value | None = None
    r2_by_strength: Sequence[float] = ()
    targets_left_out: int = 0
    values_left_out: int = 0
    raw: Value | None = None
    whitened: Value | None = None


@dataclass(frozen=True)
class Audit:
    """The result of :func:`looc_mm.audit.audit.audit`, as audit.json has it.

    Attributes:
        models: Names.
        pictures: How many were used.
        held_out: How many of them were held out.
        size: Side of the views in pixels.
        augmentations: In the order of application, as text by name.
        no_effect: Augmentations that change too few pictures to be measured, and the pictures that they do not change.
        gallery: Views from which the nearest is taken.
        hit_pictures: Pictures with a gallery.
        seed: Of all random choices.
        references: Rows that are no representation of a model.
        constant: Rows whose features do not vary.
        not_learnt: Rows of spaces that the training did not learn.
        broken: Values of shuffled pairs that are not at chance; empty if the audit works.
        cells: The values.
    """

    models: list[str]
    pictures: int
    held_out: int
    size: int
    augmentations: dict[str, str]
    no_effect: dict[str, int]
    gallery: int
    hit_pictures: int
    seed: int
    references: list[str]
    constant: list[str]
    not_learnt: list[str]
    broken: list[str]
    cells: list[Cell]

    @property
    def rows(self) -> list[str]:
        """Names of the representations: of the models, then the references."""
        return list(dict.fromkeys(each.representation for each in self.cells))

    def cell(self, representation: str, augmentation: str) -> Cell:
        """One value of the table."""
        return next(
            each for each in self.cells if (each.representation, each.augmentation) == (representation, augmentation)
        )

    def table(self) -> str:
        """The four tables and the remarks, as text."""
        widest = max((each.probe.high - each.probe.low) / 2 for each in self.cells)
        blocks = [
            f'{self.pictures} pictures, {self.held_out} of them held out; views of {self.size} px; seed {self.seed}.',
            self._block(
                'Same or different? Area under the ROC curve of the cosine / of a logistic probe.\n'
                f'0.50 is chance; 95 % intervals up to ± {widest:.2f}, in audit.json.',
                lambda cell: f'{cell.cosine.value:.2f} / {cell.probe.value:.2f}',
            ),
        ]
        if any(each.hit for each in self.cells):
            blocks.append(
                self._block(
                    f'Hit rate: the nearest of {self.gallery} views of a picture is the view that shares the '
                    'parameters.\n'
                    f'{1 / self.gallery:.2f} is chance; {self.hit_pictures} held-out pictures.',
                    lambda cell: _text(cell.hit),
                )
            )
        blocks += [
            self._block('How much? R² of the change of the numeric parameters.', lambda cell: _text(cell.r2)),
            self._block(
                'Invariance: mean cosine of two views that differ in this augmentation alone, raw / whitened.',
                lambda cell: f'{_text(cell.raw)} / {_text(cell.whitened)}' if cell.raw else '-',
            ),
            self._remarks(),
        ]
        return '\n\n'.join(blocks)

    def _block(self, title: str, text: Callable[[Cell], str]) -> str:
        columns = list(self.augmentations)
        lines = [['representation', *columns]]
        lines += [[self._label(row), *(text(self.cell(row, column)) for column in columns)] for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return '\n'.join(
            [
                title,
                *(
                    '  '.join(
                        [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))]
                    )
                    for line in lines
                ),
            ]
        )

    def _label(self, row: str) -> str:
        return f'{row} (not learnt)' if row in self.not_learnt else row

    def _remarks(self) -> str:
        first = [self.cell(self.rows[0], column) for column in self.augmentations]
        missing = ', '.join(f'{each.augmentation} {each.left_out}' for each in first if each.left_out)
        values = ', '.join(f'{each.augmentation} {each.values_left_out}' for each in first if each.values_left_out)
        lines = [f'Left out, because the two views have the same parameters or pixels: {missing or "no"} pictures.']
        lines += [f'{name} is left out: it does not change {count} pictures.' for name, count in self.no_effect.items()]
        if values:
            lines.append(f'Parameters left out of R², because they do not change the picture: {values}.')
        lines += [
            f'{row} is constant: its features are the same for all pictures, so it knows nothing.'
            for row in self.constant
        ]
        if self.broken:
            lines.append(
                'THE AUDIT IS BROKEN: shuffled pairs are not at chance: '
                + '; '.join(self.broken)
                + '. Do not use these values. Views of different pictures are not independent; are there duplicates?'
            )
        return '\n'.join(lines)


def _text(value: Value | None) -> str:
    return '-' if value is None else f'{value.value:.2f}'


def draw_audit(audit: Audit) -> Figure:
    """The area under the ROC curve of the probe as a heat map: chance is white, references are below a line."""
    columns, rows = list(audit.augmentations), audit.rows
    colours = LinearSegmentedColormap.from_list('chance', ['#b2591b', '#f2c9a8', '#ffffff', '#8fb8d8', '#0b4a86'])
    longest = max(len(audit._label(row)) for row in rows)
    figure = Figure(
        figsize=(1.6 + 0.085 * longest + 0.95 * len(columns), 1.9 + 0.36 * len(rows)), dpi=150, layout='constrained'
    )
    axis = figure.subplots()
    gaps, place = [], 0.0
    places = []
    for index, row in enumerate(rows):
        reference = row in audit.references
        new = index and (reference != (rows[index - 1] in audit.references) or _model(row) != _model(rows[index - 1]))
        if new and not (reference and rows[index - 1] in audit.references):
            place += 0.35
            gaps.append(place)
        places.append(place)
        for x, column in enumerate(columns):
            cell = audit.cell(row, column)
            value, low, high = cell.probe
            axis.fill_between(
                [x - 0.48, x + 0.48], place - 0.47, place + 0.47, color=colours(value), linewidth=0, zorder=1
            )
            chance = low <= 0.5 <= high or f'{value:.2f}' == '0.50'
            color = 'white' if value > 0.82 else '#9a9a9a' if chance else 'black'
            weight = 'normal' if chance else 'bold'
            axis.text(x, place, f'{value:.2f}', ha='center', va='center_baseline', size=9, color=color, weight=weight)
        place += 1
    axis.set(xlim=(-0.5, len(columns) - 0.5), ylim=(place - 0.5, -0.5))
    axis.set_xticks(range(len(columns)), columns, size=10)
    axis.xaxis.tick_top()
    axis.set_yticks(places, [audit._label(row) for row in rows], size=9)
    for label, row in zip(axis.get_yticklabels(), rows, strict=True):
        if row in audit.references:
            label.set(style='italic', color='#666666')
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    figure.suptitle('Which augmentations can be read from the features?', size=12, weight='bold', x=0.01, ha='left')
    figure.supxlabel(
        'Do two views of a picture share this augmentation? Area under the ROC curve of a probe,\n'
        'on held-out pictures: 0.50 (white) is chance, 1.00 (blue) is always right.\n'
        'Grey values: the 95 % interval includes chance.',
        size=8,
        x=0.01,
        ha='left',
    )
    return figure


def _model(row: str) -> str:
    return row.rpartition(': ')[0]


def write(audit: Audit, folder: Path) -> None:
    """Write audit.json and audit.png."""
    with atomic_write(folder / 'audit.json') as part:
        part.write_text(json.dumps(asdict(audit), indent=2) + '\n')
    with atomic_write(folder / 'audit.png') as part:
        draw_audit(audit).savefig(part, format='png')
