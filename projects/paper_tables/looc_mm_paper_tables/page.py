"""The tables as Markdown and as HTML, ours beside the paper's."""

import html
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from looc_mm.files import atomic_write

from .published import ABSENT, DATASETS, TABLES, Column, Number, Table, number_text
from .results import Cell, Result, aggregate, check_stand_ins, fill


@dataclass(frozen=True)
class Section:
    """A table as text, to be marked up. A body row has its label, its method, and pairs of our number and the paper's.

    Attributes:
        title: Name and caption.
        warning: Which datasets are stand-ins, or nothing.
        head: Of the columns with numbers.
        body: The rows.
        claim: Of the paper.
        summary: How many of its comparisons ours repeat.
        verdicts: One for every comparison that we have both numbers of.
        notes: What to know about the paper's numbers and ours.
    """

    title: str
    warning: str
    head: list[str]
    body: list[tuple[str, str, list[tuple[str, str]]]]
    claim: str
    summary: str
    verdicts: list[str]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """All tables.

    Attributes:
        intro: How to read them.
        sections: One per table.
        unused: Results that have no place in a table, by protocol and dataset.
    """

    intro: str
    sections: list[Section]
    unused: Counter[str]


def build_page(results: Sequence[Result], stand_ins: Mapping[str, str] | None = None) -> Page:
    """Fill every table.

    Args:
        results: Ours.
        stand_ins: The paper's dataset to ``dataset`` or ``dataset/factor`` that is shown in its columns.

    Returns:
        What is to be written.

    Raises:
        ValueError: No result has a place, or those that have contradict each other or were trained by configs of
            different suites.
    """
    stand_ins = check_stand_ins(stand_ins or {})
    cells = [fill(table, results, stand_ins) for table in TABLES]
    used = {each for table in cells for row in table for runs in row for each in runs}
    suites = sorted({each.suite for each in used if each.suite})
    if not used:
        given = ', '.join(sorted({each.dataset for each in results})) or 'none'
        raise ValueError(
            f'No result has a place in the tables. Their datasets are {", ".join(DATASETS)}; the results of known '
            f'methods have {given}. --map shows stand-ins, and --method gives the method of checkpoints whose records '
            'do not name a config of the tables.'
        )
    if len(suites) > 1:
        raise ValueError(
            f'The results are of models trained by {" and ".join(suites)}, which cannot be compared: choose one with '
            '--suite.'
        )
    shown = {_what(each) for each in used}
    unused = Counter(f'{each.protocol} on {each.dataset}' for each in results if _what(each) not in shown)
    who = [f'trained by the configs *_{suites[0]}'] if suites else []
    who += ['of the runs given with --method'] if any(each.suite is None for each in used) else []
    solvers = sorted({each.solver for each in used if each.solver})
    fitted = f" Linear layers: ours by {' and '.join(solvers)}, the paper's by sgd on random crops." if solvers else ''
    intro = (
        f"Each cell: ours / the paper's, in percent. Ours: {' and '.join(who)}; the paper's: ResNet-50, 500 epochs on "
        'IN-100. “± … (n=…)” is half the range over n runs around their mean, “(±…)” the half width of a 95 % '
        f'confidence interval, “{ABSENT}” a number that is not there. Without n a number is of one run, and a small '
        f'difference may be chance.{fitted}'
    )
    return Page(intro, [_section(*each, stand_ins) for each in zip(TABLES, cells, strict=True)], unused)


def to_markdown(page: Page) -> str:
    """The page as GitHub's Markdown."""
    lines = ['# Tables of the LooC paper', '', _markdown(page.intro)]
    for section in page.sections:
        lines += ['', f'## {_markdown(section.title)}', '']
        if section.warning:
            lines += [f'**{_markdown(section.warning)}**', '']
        lines += ['| ' + ' | '.join(map(_markdown, ['model', 'config', *section.head])) + ' |']
        lines += ['|---' * (2 + len(section.head)) + '|']
        for label, method, pairs in section.body:
            numbers = [f'{ours} / {paper}' for ours, paper in pairs]
            lines += ['| ' + ' | '.join([_markdown(label), f'`{method}`', *numbers]) + ' |']
        lines += ['', f'The paper: {_markdown(section.claim)} Ours: {_markdown(section.summary)}', '']
        lines += [f'- {_markdown(each)}' for each in (*section.verdicts, *(f'Note: {note}' for note in section.notes))]
    return '\n'.join(lines).replace('\n\n\n', '\n\n').rstrip() + '\n'


def to_html(page: Page) -> str:
    """The page as one HTML file that needs no other."""
    parts = [_HEAD, f'<h1>Tables of the LooC paper</h1>\n<p>{html.escape(page.intro)}</p>']
    for section in page.sections:
        parts.append(f'<h2>{html.escape(section.title)}</h2>')
        if section.warning:
            parts.append(f'<p class="warning">{html.escape(section.warning)}</p>')
        head = ''.join(f'<th>{html.escape(each)}</th>' for each in ('model', 'config', *section.head))
        parts.append(f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>')
        for label, method, pairs in section.body:
            numbers = ''.join(
                f'<td><b>{html.escape(ours)}</b> / <span>{html.escape(paper)}</span></td>' for ours, paper in pairs
            )
            parts.append(f'<tr><th>{html.escape(label)}</th><td><code>{html.escape(method)}</code></td>{numbers}</tr>')
        parts.append('</tbody></table></div>')
        parts.append(f'<p>The paper: {html.escape(section.claim)} Ours: {html.escape(section.summary)}</p>')
        if items := [*section.verdicts, *(f'Note: {each}' for each in section.notes)]:
            parts.append('<ul>' + ''.join(f'<li>{html.escape(each)}</li>' for each in items) + '</ul>')
    return '\n'.join([*parts, '</body></html>']) + '\n'


def write_pages(page: Page, folder: str | Path) -> list[Path]:
    """Write ``paper_tables.md`` and ``paper_tables.html``, each replaced as a whole.

    Args:
        page: What to write.
        folder: Made if it is not there.

    Returns:
        The two paths.
    """
    paths = []
    for suffix, text in (('md', to_markdown(page)), ('html', to_html(page))):
        path = Path(folder, f'paper_tables.{suffix}')
        with atomic_write(path) as part:
            part.write_text(text, encoding='utf-8')
        paths.append(path)
    return paths


def _what(result: Result) -> tuple:
    """What was measured: equal for copies of a result."""
    place = (result.protocol, result.dataset, result.factor, result.spaces, result.metric)
    return (result.run, result.seed, *place)


def _section(table: Table, found: list[list[list[Result]]], stand_ins: Mapping[str, str]) -> Section:
    ours = [[aggregate(runs) for runs in row] for row in found]
    head = [_heading(column, stand_ins) for column in table.columns]
    swapped = {
        DATASETS[column.dataset]: stand_ins[column.dataset] for column in table.columns if column.dataset in stand_ins
    }
    warning = ''
    if swapped:
        pairs = ', '.join(f'{source} instead of {name}' for name, source in swapped.items())
        warning = f"Stand-ins: ours are on {pairs}. There our number and the paper's are of different pictures."
    body = [
        (row.label, row.method, [(_text(cell), _text(paper)) for cell, paper in zip(cells, row.values, strict=True)])
        for row, cells in zip(table.rows, ours, strict=True)
    ]
    verdicts, same = [], 0
    for check in table.checks:
        better, worse = ours[check.better][check.column], ours[check.worse][check.column]
        if better is not None and worse is not None:
            agrees, how = _compare(better, worse)
            same += agrees
            above, below = table.rows[check.better], table.rows[check.worse]
            verdicts.append(
                f'{above.label} above {below.label} on {head[check.column]}: {how} '
                f'(paper {_value(above.values[check.column])} > {_value(below.values[check.column])})'
            )
    summary = 'no two numbers that a comparison of the paper needs.'
    if verdicts:
        summary = f'{same} of {len(verdicts)} comparisons point the same way'
        missing = len(table.checks) - len(verdicts)
        summary += f'; {missing} more lack a number.' if missing else '.'
    notes = (*table.notes, *_texture_note(table, found))
    return Section(f'{table.name}. {table.caption}', warning, head, body, table.claim, summary, verdicts, notes)


def _texture_note(table: Table, found: list[list[list[Result]]]) -> list[str]:
    """Which rows have another texture than the paper's; empty if none has."""
    rows = [
        row.label
        for row, cells in zip(table.rows, found, strict=True)
        if any(each.texture == 'RandomConvTexture' for runs in cells for each in runs)
    ]
    if not rows:
        return []
    return [
        f"In our numbers of {', '.join(rows)}, texture is RandomConvTexture (random convolutions) and not the paper's "
        'stylised images.'
    ]


def _heading(column: Column, stand_ins: Mapping[str, str]) -> str:
    name = DATASETS[column.dataset]
    if column.dataset in stand_ins:
        source = stand_ins[column.dataset]
        if column.protocol == 'rotation':
            source = source.partition('/')[0]  # the angle is predicted, and no factor of the image
        name = f'{source} (stand-in for {name})'
    return f'{name} {column.title}'


def _compare(better: Cell, worse: Cell) -> tuple[bool, str]:
    """Whether the one is above the other, at the precision that is shown."""
    high, low = round(better.value, 1), round(worse.value, 1)
    sign = '>' if high > low else '<' if high < low else '='
    how = f'{"yes" if high > low else "no"}, {high:.1f} {sign} {low:.1f}'
    if high != low and abs(better.value - worse.value) <= (better.spread or 0) + (worse.spread or 0):
        how += ', within the spread'
    return high > low, how


def _value(number: Number) -> str:
    return _text(number[0] if isinstance(number, tuple) else number)


def _text(number: Number | Cell) -> str:
    return str(number) if isinstance(number, Cell) else number_text(number)


def _markdown(text: str) -> str:
    """Escape what Markdown would read as markup."""
    return re.sub(r'([\\`*_|\[\]&]|<(?! ))', r'\\\1', ' '.join(text.split()))


_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tables of the LooC paper</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1200px; margin: 2rem auto; padding: 0 1rem; color: #1c2024; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .6rem; border-bottom: 1px solid #d5d9de; text-align: left; }
thead th { border-bottom: 2px solid #1c2024; vertical-align: bottom; }
tbody th { font-weight: normal; white-space: nowrap; }
td { white-space: nowrap; }
td span { color: #68707a; }
.warning { background: #fff3d6; border-left: 4px solid #d99a00; padding: .5rem .8rem; }
</style>
</head>
<body>"""
