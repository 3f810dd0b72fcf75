"""The paper's Tables 1-5 and E.1: its numbers as data, ours from ``results.json`` beside them, as Markdown and HTML."""

import html
import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from looc_mm.files import whole

ABSENT = '–'
Number = float | tuple[float, float] | None  # a value in percent, a value and its confidence interval, or none


@dataclass(frozen=True)
class Column:
    """Which records stand in a column: protocol, dataset as in ``DATASETS`` and metric."""

    title: str
    protocol: str
    dataset: str
    metric: str


@dataclass(frozen=True)
class Row:
    """A method and the paper's numbers.

    Attributes:
        label: As the paper calls it.
        method: Name of its configs, without the suite.
        values: One per column.
        spaces: Whose features are concatenated; None for the method's representation.
    """

    label: str
    method: str
    values: tuple[Number, ...]
    spaces: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Check:
    """The paper's number of row ``better`` in a column is above that of row ``worse``; rows by their index."""

    column: int
    better: int
    worse: int


@dataclass(frozen=True)
class Table:
    """A table of the paper, what it is to show, and what to know about it."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    claim: str
    checks: tuple[Check, ...]
    notes: tuple[str, ...] = ()


# ------------------------------------------------------------------------------------------------ the paper's numbers

#: The evaluation configs' names of the paper's datasets to its own.
DATASETS = {
    'in100': 'IN-100',
    'inat2019': 'iNat-1k',
    'cub': 'CUB-200',
    'flowers102': 'Flowers-102',
    'objectnet': 'ON-13',
    'imagenet-c': 'IN-C-100',
}
ALIASES = {'imagenet_c': 'imagenet-c', 'in-c-100': 'imagenet-c'}
SUITE = r'(?:r\d+_)?(?:in100|imagenette|factors|folder)'  # the end of a pretraining config's name


def _top(dataset: str) -> tuple[Column, Column]:
    return Column('top-1', 'linear', dataset, 'top1'), Column('top-5', 'linear', dataset, 'top5')


def _corrupted(title: str, figure: str) -> Column:
    return Column(title, 'robustness', 'imagenet-c', f'top1/{figure}')


_SHOTS = tuple(Column(f'{shots}-shot', 'few_shot', 'flowers102', f'top1/{shots}-shot') for shots in (5, 10))
_ALL = _corrupted('all, top-1', 'all')
_FLOWERS = 'LooC++ on Flowers-102 has 68.1 / 78.8 in Table 2 (color, rotation) and 71.0 / 81.9 in Tables 4 and 5 (all).'

TABLE_1 = Table(
    'Table 1',
    'Rotation in four classes, and IN-100, under linear evaluation.',
    (Column('4-way rotation', 'rotation', 'in100', 'top1'), *_top('in100')),
    (
        Row('Supervised', 'supervised', (72.3, 83.7, 95.7)),
        Row('MoCo', 'moco', (61.1, 81.0, 95.2)),
        Row('MoCo + Rotation', 'moco_rotation', (43.3, 79.4, 94.1)),
        Row('MoCo + Rotation (same for q and k)', 'moco_same_rotation', (45.5, 78.1, 94.3)),
        Row('LooC + Rotation', 'looc_rotation', (65.2, 80.2, 95.5)),
    ),
    'Rotation as an augmentation costs MoCo its sense of rotation and some of IN-100; LooC keeps and uses it.',
    (Check(0, 1, 2), Check(1, 1, 2), Check(0, 3, 2), Check(1, 2, 3), Check(0, 4, 1), Check(1, 4, 2)),
)

TABLE_2 = Table(
    'Table 2',
    'Several downstream tasks.',
    (*_top('inat2019'), *_top('cub'), *_SHOTS, *_top('in100')),
    (
        Row('MoCo (color)', 'moco', (36.2, 62.0, 36.7, 64.7, (67.9, 0.5), (77.3, 0.1), 81.0, 95.2)),
        Row('LooC (color)', 'looc_color', (41.2, 67.0, 40.1, 69.7, (68.2, 0.6), (77.6, 0.1), 81.1, 95.3)),
        Row('LooC (rotation)', 'looc_rotation', (40.0, 65.4, 38.8, 67.0, (70.1, 0.4), (79.3, 0.1), 80.2, 95.5)),
        Row('LooC (color, rotation)', 'looc', (44.0, 69.3, 39.6, 69.2, (70.9, 0.3), (80.8, 0.2), 79.2, 94.7)),
        Row('LooC++ (color, rotation)', 'loocpp', (46.1, 71.5, 39.3, 69.3, (68.1, 0.4), (78.8, 0.2), 81.2, 95.2)),
    ),
    'LooC transfers better than MoCo, and better with more augmentations; LooC++ regains what that costs on IN-100.',
    (
        *(Check(0, better, worse) for better, worse in ((1, 0), (2, 0), (3, 1), (3, 2), (4, 3))),
        *(Check(2, better, 0) for better in (1, 2, 3)),
        *(Check(4, better, worse) for better, worse in ((1, 0), (2, 0), (3, 2))),
        Check(6, 4, 3),
    ),
    (_FLOWERS,),
)

TABLE_3 = Table(
    'Table 3',
    'Other viewpoints (ON-13) and corruptions (IN-C-100), by classifiers of IN-100.',
    (
        *_top('objectnet'),
        _corrupted('noise', 'noise'),
        _corrupted('blur', 'blur'),
        _corrupted('weather', 'weather'),
        _corrupted('digital', 'digital'),
        _ALL,
        _corrupted('d ≥ 3', 'd>=3'),
        *_top('in100'),
    ),
    (
        Row('Supervised', 'supervised', (30.9, 54.8, 28.4, 47.1, 44.9, 58.5, 47.2, 36.5, 83.7, 95.7)),
        Row('MoCo', 'moco', (29.2, 54.2, 37.9, 38.5, 47.7, 60.1, 48.2, 37.2, 81.0, 95.2)),
        Row('LooC (rotation)', 'looc_rotation', (34.2, 59.6, 31.3, 33.1, 42.4, 54.9, 42.7, 31.8, 80.2, 95.5)),
        Row('LooC (texture)', 'looc_texture', (30.1, 54.1, 42.4, 39.6, 54.0, 61.9, 51.3, 41.9, 81.0, 94.7)),
        Row(
            'LooC (rotation, texture)',
            'looc_rotation_texture',
            (33.3, 59.2, 37.0, 35.2, 50.2, 56.9, 46.5, 37.2, 79.4, 94.3),
        ),
        Row(
            'LooC++ (rotation, texture)',
            'loocpp_rotation_texture',
            (32.6, 57.3, 38.3, 37.6, 52.0, 60.0, 48.8, 38.9, 82.1, 95.1),
        ),
    ),
    'Rotation helps on ON-13 and hurts on IN-C-100, where texture helps; LooC++ with both is better there than LooC.',
    (
        *(Check(0, better, 1) for better in (2, 4, 5)),
        *(Check(6, better, worse) for better, worse in ((1, 0), (1, 2), (3, 1), (5, 4))),
        Check(7, 3, 1),
    ),
    (
        'The paper\'s "All" cannot be rebuilt from its groups: the mean over the 15 corruptions (3 of noise, 4 of each '
        'other group) is 1.2 to 1.7 points below it in every row. Ours is the mean over the corruptions.',
    ),
)

TABLE_4 = Table(
    'Table 4',
    'LooC and MoCo, both trained with all augmentations.',
    (*_top('in100'), *_top('inat2019'), *_SHOTS, _ALL),
    (
        Row('MoCo', 'moco_all', (None, None, None, None, None, (81.1, 0.2), None)),
        Row('LooC', 'looc_all', (None, None, None, None, None, (81.4, 0.2), None)),
        Row('MoCo++', 'mocopp_all', (80.8, 94.6, 43.4, 68.5, (70.0, 0.8), (80.5, 0.3), 48.3)),
        Row('LooC++', 'loocpp_all', (82.2, 95.3, 45.9, 71.4, (71.0, 0.7), (81.9, 0.3), 48.0)),
    ),
    'With the same augmentations and heads LooC is better than MoCo, or comparable.',
    (Check(5, 1, 0), *(Check(column, 3, 2) for column in (0, 2, 4, 5))),
    (
        'Of the rows MoCo and LooC only the 10-shot column is legible in our copy of the paper, and not their names, '
        "which are inferred from the caption, as is the first pair of columns being IN-100's.",
        _FLOWERS,
    ),
)

_ALL_SPACES = ('invariant', 'color', 'rotation', 'texture')
TABLE_5 = Table(
    'Table 5',
    'Choices of the spaces of one LooC++ with all augmentations.',
    TABLE_4.columns,
    tuple(
        Row(' + '.join(spaces), 'loocpp_all', values, spaces)
        for spaces, values in (
            (('invariant',), (78.5, 94.3, 38.5, 64.7, (68.6, 0.6), (77.6, 0.1), 48.0)),
            (('invariant', 'color'), (79.7, 94.4, 42.9, 68.7, (69.1, 0.7), (79.5, 0.2), 47.1)),
            (('invariant', 'rotation'), (81.5, 94.9, 41.4, 67.4, (70.5, 0.6), (80.0, 0.2), 52.6)),
            (('invariant', 'texture'), (80.3, 94.9, 43.0, 68.6, (70.4, 0.5), (80.5, 0.2), 44.1)),
            (_ALL_SPACES, (82.2, 95.3, 45.9, 71.4, (71.0, 0.7), (81.9, 0.3), 48.0)),
        )
    ),
    'Every further space helps on IN-100, iNat-1k and Flowers-102; on IN-C-100 rotation helps and texture hurts.',
    (
        *(Check(column, better, 0) for column in (0, 2, 4) for better in (1, 2, 3)),
        *(Check(column, 4, worse) for column in (0, 2, 4) for worse in (1, 2, 3)),
        Check(6, 2, 0),
        Check(6, 0, 3),
    ),
    (
        'The paper ticks the further heads; that the all-invariant one is always among them is inferred from its text.',
        'In our copy of the paper the first row has its 94.3 in the column of top-1 too; it is read as 78.5 / 94.3.',
        _FLOWERS,
    ),
)

TABLE_E1 = Table(
    'Table E.1',
    'Leave-one-out and add-one augmentation.',
    _top('in100'),
    (
        Row('MoCo (color)', 'moco', (81.0, 95.2)),
        Row('MoCo (color, rotation)', 'moco_rotation', (79.4, 94.1)),
        Row('MoCo + AddOne (color)', 'moco_add_one_color', (74.9, 92.5)),
        Row('MoCo + AddOne (rotation; color as by default)', 'moco_add_one_rotation', (79.3, 94.4)),
        Row('LooC (color)', 'looc_color', (81.1, 95.3)),
        Row('LooC (rotation; color as by default)', 'looc_rotation', (80.2, 95.5)),
    ),
    'Add-one makes the pretext task too easy and degrades; leave-one-out does not.',
    (Check(0, 0, 2), Check(0, 4, 2), Check(0, 5, 3)),
)

TABLES = (TABLE_1, TABLE_2, TABLE_3, TABLE_4, TABLE_5, TABLE_E1)
METHODS = sorted({row.method for table in TABLES for row in table.rows})

# ---------------------------------------------------------------------------------------------------- our own numbers


@dataclass(frozen=True)
class Result:
    """One record of an evaluation, with the method that it belongs to.

    Attributes:
        spaces: Whose features were concatenated; None for V.
        factor: Which factor of the image was predicted; None for its class.
        solver: How a linear layer was fitted; None where the record does not say.
        run: Absolute path of the checkpoint.
        suite: Which configs the method was trained by; None where the method was given by hand.
        source: The file that it stands in.
    """

    protocol: str
    dataset: str
    spaces: frozenset[str] | None
    factor: str | None
    metric: str
    value: float
    ci: float | None
    solver: str | None
    run: str
    seed: int | None
    method: str
    suite: str | None
    source: Path


@dataclass(frozen=True)
class Cell:
    """The mean over runs.

    Attributes:
        value: In percent.
        spread: Half of the range over the runs; of a single run the confidence interval, None if it has none.
        runs: How many.
    """

    value: float
    spread: float | None
    runs: int

    def __str__(self) -> str:
        """As in a table."""
        if self.runs > 1:
            return f'{self.value:.1f} ± {self.spread:.1f} (n={self.runs})'
        return _text(self.value if self.spread is None else (self.value, self.spread))


def find_results(paths: Iterable[str | Path]) -> list[Path]:
    """Result files: those given, and every ``results.json`` below the folders given.

    Raises:
        FileNotFoundError: A path is not there, or there is no results file below it.
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        below = sorted(path.rglob('results.json')) if path.is_dir() else [path] * path.is_file()
        if not below:
            raise FileNotFoundError(f'No results.json at {path}; tools/test.py writes one into its work dir.')
        found.update({each.resolve(): each for each in below})
    return list(found.values())


def read_results(path: Path) -> list[dict[str, Any]]:
    """The records of a file that an evaluation wrote.

    Raises:
        ValueError: It is something else.
    """
    try:
        records = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path} is no results.json, it cannot be read as JSON: {error}.') from error
    problems = map(_problem, records) if isinstance(records, list) else iter(['it is no list'])
    if problem := next(filter(None, problems), None):
        raise ValueError(f'{path} is no results.json of tools/test.py: {problem}. Leave it out.')
    return records


def find_method(checkpoint: str, given: Mapping[str, str]) -> tuple[str, str | None] | None:
    """Which method a checkpoint is of: the one given for the longest prefix of its path, else by its folders' names.

    Args:
        checkpoint: Its path.
        given: Prefix of a path to method.

    Returns:
        The method and the suite of its config, None where it was given; or None if it is none of the tables'.
    """
    for prefix in sorted(given, key=lambda each: len(os.path.abspath(each)), reverse=True):
        if PurePath(os.path.abspath(checkpoint)).is_relative_to(os.path.abspath(prefix)):
            return given[prefix], None
    for folder in reversed(PurePath(checkpoint).parts[:-1]):
        if match := re.fullmatch(f'({"|".join(METHODS)})_({SUITE})', folder):
            return match[1], match[2]
    return None


def collect(
    files: Iterable[Path], given: Mapping[str, str] | None = None, suite: str | None = None
) -> tuple[list[Result], Counter[str]]:
    """Read files and tell the methods apart.

    Args:
        files: Results files.
        given: Methods by prefix of the checkpoint's path.
        suite: Keep only what was trained by this suite's configs.

    Returns:
        The results, and how many records of which checkpoint are left out.

    Raises:
        ValueError: A file has no records, or a method is not in the tables.
    """
    given = given or {}
    if unknown := sorted(set(given.values()) - set(METHODS)):
        raise ValueError(f'Got the methods {unknown}; those of the tables are {", ".join(METHODS)}.')
    results: list[Result] = []
    left: Counter[str] = Counter()
    for path in files:
        for record in read_results(path):
            checkpoint = record['checkpoint']
            found = find_method(checkpoint, given) if checkpoint else None
            if found is None:
                left[f'{checkpoint}: no method of the tables' if checkpoint else 'random weights'] += 1
            elif suite and found[1] not in (suite, None):
                left[f'{checkpoint}: suite {found[1]}'] += 1
            else:
                results.append(_result(record, path, *found))
    return results, left


def check_stand_ins(stand_ins: Mapping[str, str]) -> dict[str, str]:
    """Name the paper's datasets as ``DATASETS`` does.

    Args:
        stand_ins: The paper's dataset to the one that stands in for it.

    Raises:
        ValueError: The paper has no such dataset, or it has two stand-ins.
    """
    named: dict[str, str] = {}
    for target, source in stand_ins.items():
        name = ALIASES.get(target, target)
        if name not in DATASETS:
            raise ValueError(f'No table has the dataset {target!r}; there are {", ".join(DATASETS)}.')
        if name in named:
            raise ValueError(f'{DATASETS[name]} has two stand-ins, {named[name]} and {source}; give one.')
        named[name] = source
    return named


def fill(table: Table, results: Sequence[Result], stand_ins: Mapping[str, str]) -> list[list[list[Result]]]:
    """The results of every cell, rows of columns of runs.

    Args:
        table: Which.
        results: To choose from.
        stand_ins: The paper's dataset to ``dataset`` or ``dataset/factor``.

    Raises:
        ValueError: A cell's results are of different things, or a dataset has results of its own and a stand-in.
    """
    return [[_runs(row, column, results, stand_ins) for column in table.columns] for row in table.rows]


def aggregate(runs: Sequence[Result]) -> Cell | None:
    """Mean and half range over runs; None if there are none."""
    if not runs:
        return None
    values = [each.value for each in runs]
    spread = runs[0].ci if len(runs) == 1 else (max(values) - min(values)) / 2
    return Cell(sum(values) / len(values), spread, len(runs))


def _problem(record: Any) -> str | None:
    """What keeps this from being a record."""
    if not isinstance(record, dict):
        return f'a record is a dict, got {type(record).__name__}'
    if missing := [
        key for key in ('protocol', 'dataset', 'representation', 'metric', 'value', 'checkpoint') if key not in record
    ]:
        return f'a record lacks {", ".join(missing)}'
    for key in ('protocol', 'dataset', 'metric'):
        if not isinstance(record[key], str):
            return f'{key} is a name, got {record[key]!r}'
    for key in ('value', 'ci'):
        number = record.get(key)
        is_number = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
        if not is_number and (key == 'value' or number is not None):
            return f'{key} is a number, got {number!r}'
    for key, kind in (('checkpoint', str), ('factor', str), ('solver', str), ('seed', int)):
        if not isinstance(record.get(key), kind | None):
            return f'{key} is {kind.__name__} or null, got {record[key]!r}'
    chosen = record['representation']
    if chosen != 'V' and not (isinstance(chosen, list) and all(isinstance(each, str) for each in chosen)):
        return f"representation is 'V' or a list of spaces, got {chosen!r}"
    return None


def _result(record: dict[str, Any], path: Path, method: str, suite: str | None) -> Result:
    chosen = record['representation']
    return Result(
        protocol=record['protocol'],
        dataset=ALIASES.get(record['dataset'], record['dataset']),
        spaces=None if chosen == 'V' else frozenset(chosen),
        factor=record.get('factor'),
        metric=record['metric'],
        value=float(record['value']),
        ci=record.get('ci'),
        solver=record.get('solver'),
        run=os.path.abspath(record['checkpoint']),
        seed=record.get('seed'),
        method=method,
        suite=suite,
        source=path,
    )


def _runs(row: Row, column: Column, results: Sequence[Result], stand_ins: Mapping[str, str]) -> list[Result]:
    own = _matching(row, column, results, column.dataset)
    if column.dataset not in stand_ins:
        return _distinct(own, f'{row.label}, {DATASETS[column.dataset]} {column.title}')
    if own:
        raise ValueError(
            f'{own[0].source} has results on {column.dataset}, for which {stand_ins[column.dataset]} is to stand in: '
            f'leave out the one or the other.'
        )
    found = _matching(row, column, results, stand_ins[column.dataset])
    return _distinct(found, f'{row.label}, {stand_ins[column.dataset]} {column.title}')


def _matching(row: Row, column: Column, results: Sequence[Result], source: str) -> list[Result]:
    """Results of the first place that has any: Table 5 takes the ablation's, else a probe's on those spaces."""
    dataset, _, factor = source.partition('/')
    places: list[tuple[str, frozenset[str] | None]] = [(column.protocol, None)]
    if row.spaces is not None:
        chosen = frozenset(row.spaces)
        places = [('space_ablation', chosen), (column.protocol, chosen)]
        if row.spaces == _ALL_SPACES:
            places.append((column.protocol, None))  # what LooC++ gives when no spaces are chosen
    for protocol, spaces in places:
        wanted = (None, 'rotation') if protocol == 'rotation' else (factor or None,)
        found = [
            each
            for each in results
            if (each.method, each.protocol, each.spaces) == (row.method, protocol, spaces)
            and (ALIASES.get(dataset, dataset), column.metric) == (each.dataset, each.metric)
            and each.factor in wanted
        ]
        if found:
            return found
    return []


def _distinct(found: list[Result], where: str) -> list[Result]:
    """One result of each run; a copy of a file counts once."""
    runs: dict[tuple[str, int | None], Result] = {}
    for each in found:
        first = runs.setdefault((each.run, each.seed), each)
        if not math.isclose(first.value, each.value, abs_tol=1e-6):
            raise ValueError(
                f'{where}: {first.source} has {first.value:g} and {each.source} {each.value:g} for the same checkpoint '
                'and seed. Give one of the files.'
            )
    checkpoints: dict[str, str] = {}
    for path, _ in runs:
        folder, name = os.path.split(path)
        if checkpoints.setdefault(folder, name) != name:
            raise ValueError(
                f'{where}: {checkpoints[folder]} and {name} are two checkpoints of one run, {folder}, and no two runs '
                "to average. Give one's results, such as work_dirs/linear_eval/*/*_epoch_200/results.json."
            )
    return list(runs.values())


# ----------------------------------------------------------------------------------------------------------- the page


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
        notes: What to know about the paper's numbers.
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
        stand_ins: The paper's dataset to ``dataset`` or ``dataset/factor`` that is to stand in its columns.

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
            f'methods have {given}. --map shows stand-ins, and --method tells of which method a checkpoint is whose '
            "folders' names do not."
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
        with whole(path) as part:
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
        pairs = ', '.join(f'{source} in place of {name}' for name, source in swapped.items())
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
    return Section(f'{table.name}. {table.caption}', warning, head, body, table.claim, summary, verdicts, table.notes)


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
    if number is None:
        return ABSENT
    if isinstance(number, tuple):
        return f'{number[0]:.1f} (±{number[1]:.1f})'
    return str(number) if isinstance(number, Cell) else f'{number:.1f}'


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
