"""The curves of a training as a table and a picture in its folder, rewritten while it goes on."""

import csv
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from looc_mm.files import atomic_write

FIGURES = ('pos', 'P', 'others')  # of every space, see looc_mm.models.space_figures
GENERAL = ('step', 'epoch', 'minutes', 'images_per_second', 'learning_rate', 'loss')
Row = dict[str, str]


class Curves:
    """``curves.csv`` and ``curves.png``.

    Both are replaced at once, so that a reader never sees half of a file.

    Args:
        folder: Where they go.
        spaces: Names of the spaces.
        step: The step that the training goes on from. A file of the same columns is continued: its rows up to this
            step are kept. At 0 the files are replaced.
        pause: Least number of seconds between two drawings.
        share: Largest share of the time that writing may take, and drawing too; the last of each is left out.
    """

    def __init__(
        self, folder: str | Path, spaces: Sequence[str], step: int, pause: float = 60, share: float = 0.005
    ) -> None:
        self.csv, self.png = Path(folder, 'curves.csv'), Path(folder, 'curves.png')
        self.spaces = tuple(spaces)
        self.columns = [*GENERAL, *(f'{what}_{space}' for space in spaces for what in (*FIGURES, 'state'))]
        self.rows = self._earlier(step) if step else []
        self.pause, self.share = pause, share
        self.next_writing = self.next_drawing = 0.0  # on the clock of time.monotonic
        self.written = True  # whether the table has all rows

    def _earlier(self, step: int) -> list[Row]:
        if not self.csv.exists():
            return []
        with self.csv.open(newline='') as file:
            reader = csv.DictReader(file)
            rows = list(reader)
        return [row for row in rows if int(row['step']) <= step] if reader.fieldnames == self.columns else []

    @property
    def minutes(self) -> float:
        """Minutes of training up to the last row."""
        return float(self.rows[-1]['minutes']) if self.rows else 0.0

    def add(self, row: Mapping[str, object]) -> None:
        """Add a row, and write the table and the picture if it is time.

        Args:
            row: Values by column; those that are missing or None stay empty.
        """
        self.rows.append({column: _text(row.get(column)) for column in self.columns})
        self.written = False
        if time.monotonic() >= self.next_writing:
            self.write()
        if time.monotonic() >= self.next_drawing:
            self.draw()

    def write(self) -> None:
        """Write the table, if rows are missing in it."""
        if self.written:
            return
        start = time.monotonic()
        with atomic_write(self.csv, single_writer=True) as part, part.open('w', newline='') as file:
            writer = csv.DictWriter(file, self.columns)
            writer.writeheader()
            writer.writerows(self.rows)
        end = time.monotonic()
        self.written, self.next_writing = True, end + (end - start) / self.share

    def draw(self) -> None:
        """Write the picture."""
        from matplotlib.figure import Figure

        from looc_mm.visualization import draw_curves

        start = time.monotonic()
        figure = Figure(figsize=(13, 4), dpi=100, layout='constrained')
        draw_curves(figure, self.rows, self.spaces)
        with atomic_write(self.png, single_writer=True) as part:
            figure.savefig(part, format='png')
        end = time.monotonic()
        self.next_drawing = end + max(self.pause, (end - start) / self.share)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f'{value:.6g}'
    return '' if value is None else str(value)
