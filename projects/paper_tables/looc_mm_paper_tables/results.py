"""Our own numbers: records of ``results.json``, with the methods and the cells that they belong to."""

import json
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from looc_mm.results import newest

from .published import (
    ALIASES,
    ALL_SPACES,
    DATASETS,
    METHODS,
    SUITE,
    TEXTURE_METHODS,
    Column,
    Row,
    Table,
    number_text,
)


@dataclass(frozen=True)
class Result:
    """One record of an evaluation, with the method that it belongs to.

    Attributes:
        spaces: Whose features were concatenated; None for V.
        factor: Which factor of the image was predicted; None for its class.
        solver: How a linear layer was fitted; None where the record does not say.
        run: Absolute path of the checkpoint.
        suite: Which configs the method was trained by; None where the method was given by hand.
        texture: Type of the augmentation of texture; None where the method has none or was given by hand.
        source: The file that contains it.
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
    texture: str | None
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
        return number_text(self.value if self.spread is None else (self.value, self.spread))


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


class Origin(NamedTuple):
    """The method, suite and texture of a result, as in ``Result``."""

    method: str
    suite: str | None = None
    texture: str | None = None


def find_method(checkpoint: str, experiment: str | None, given: Mapping[str, str]) -> Origin | None:
    """Which method a checkpoint is of: the one given for the longest prefix of its path, or that of its config.

    Args:
        checkpoint: Its path.
        experiment: Name of its pretraining config, by the record; None if the record does not name it.
        given: Prefix of a path to method.

    Returns:
        The method, and what else the config's name says; None if it is no method of the tables.
    """
    for prefix in sorted(given, key=lambda each: len(os.path.abspath(each)), reverse=True):
        if PurePath(os.path.abspath(checkpoint)).is_relative_to(os.path.abspath(prefix)):
            return Origin(given[prefix])
    match = re.fullmatch(f'({"|".join(METHODS)})(_stylized)?_({SUITE})', experiment or '')
    if match is None or (match[2] and match[1] not in TEXTURE_METHODS):
        return None
    texture = 'StylizedTexture' if match[2] else 'RandomConvTexture' if match[1] in TEXTURE_METHODS else None
    return Origin(match[1], match[3], texture)


def collect(
    files: Iterable[Path], given: Mapping[str, str] | None = None, suite: str | None = None
) -> tuple[list[Result], Counter[str]]:
    """Read files and find the method of each result.

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
        for record in newest(read_results(path)):
            checkpoint = record['checkpoint']
            experiment = record.get('experiment')
            found = find_method(checkpoint, experiment, given) if checkpoint else None
            if found is None:
                config = f'config {experiment}' if experiment else 'its record names no config'
                why = f'{checkpoint}: no method of the tables ({config})'
                left[why if checkpoint else 'random weights'] += 1
            elif suite and found.suite not in (suite, None):
                left[f'{checkpoint}: suite {found.suite}'] += 1
            else:
                results.append(_result(record, path, found))
    return results, left


def check_stand_ins(stand_ins: Mapping[str, str]) -> dict[str, str]:
    """Name the paper's datasets as ``DATASETS`` does.

    Args:
        stand_ins: The paper's dataset to its stand-in.

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
    for key, kind in (('checkpoint', str), ('experiment', str), ('factor', str), ('solver', str), ('seed', int)):
        if not isinstance(record.get(key), kind | None):
            return f'{key} is {kind.__name__} or null, got {record[key]!r}'
    chosen = record['representation']
    if chosen != 'V' and not (isinstance(chosen, list) and all(isinstance(each, str) for each in chosen)):
        return f"representation is 'V' or a list of spaces, got {chosen!r}"
    return None


def _result(record: dict[str, Any], path: Path, origin: Origin) -> Result:
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
        **origin._asdict(),
        source=path,
    )


def _runs(row: Row, column: Column, results: Sequence[Result], stand_ins: Mapping[str, str]) -> list[Result]:
    own = _matching(row, column, results, column.dataset)
    if column.dataset not in stand_ins:
        return _distinct(own, f'{row.label}, {DATASETS[column.dataset]} {column.title}')
    if own:
        raise ValueError(
            f'{own[0].source} has results on {column.dataset}, for which {stand_ins[column.dataset]} is given as a '
            f'stand-in: leave out the one or the other.'
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
        if row.spaces == ALL_SPACES:
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
    if len({each.texture for each in runs.values()}) > 1:
        raise ValueError(
            f'{where}: there are runs with stylised images and runs with RandomConvTexture, and no mean of both. Give '
            f'the results of one kind: {", ".join(sorted({str(each.source) for each in runs.values()}))}.'
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
