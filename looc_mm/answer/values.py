"""Pictures with a number each: a column of a CSV file."""

import csv
import math
from pathlib import Path

import torch

from .labelled import Labelled, Split, group_numbers, hold_out

COLUMN = 'value'
#: Groups of pictures, without a regex pictures.
LEAST = 10


def read_values(folder: str | Path, values: str, group: str | None = None, seed: int = 0) -> Labelled:
    """Read a column of numbers, and split the pictures.

    If every path begins with ``train/`` or ``val/``, these are the splits. Else a fifth of the pictures is held out.

    Args:
        folder: What the paths are relative to.
        values: ``FILE.csv`` or ``FILE.csv:COLUMN``. The file has a header with ``path`` and the column, by default
            ``value``. Pictures that it does not name are left out.
        group: A regex whose first group, searched in the path, names what a picture shows. Pictures of one name stay on
            one side of the split.
        seed: Of the split.

    Returns:
        The splits, whose labels are (N,) double.

    Raises:
        FileNotFoundError: The folder, the file or a picture is missing.
        ValueError: The file lacks a column, names a picture twice, has a value that is no finite number, has one value
            only, or too few pictures; as :func:`looc_mm.answer.labelled.group_numbers`.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f'There is no folder {str(folder)!r}; give the folder that the paths are relative to.')
    file, column = parse(values)
    found = read_column(file, column)
    if missing := [name for name in found if not (root / name).is_file()]:
        raise FileNotFoundError(
            f'{file.name} names {len(missing)} pictures that are not in {str(folder)!r}, such as {missing[0]!r}. The '
            f'paths are relative to this folder: add the pictures, or take their rows out.'
        )
    if len({*found.values()}) < 2:
        raise ValueError(
            f'The column {column!r} of {file.name} has one value in all {len(found)} rows: there is nothing to '
            f'predict. Give another column.'
        )
    names = list(found)
    labels = torch.tensor([found[name] for name in names], dtype=torch.double)
    groups = group_numbers(names, group, {})
    if len(groups.unique()) < LEAST:
        raise ValueError(
            f'{file.name} has {len(names)} pictures of {len(groups.unique())} groups; give at least {LEAST} groups.'
        )
    every = Split([str(root / name) for name in names], labels, groups)
    tops = [Path(name).parts[0] for name in names]
    name = f'{root.resolve().name}_{column}'
    if {*tops} == {'train', 'val'}:
        train = torch.tensor([top == 'train' for top in tops])
        if group is not None and {*groups[train].tolist()} & {*groups[~train].tolist()}:
            raise ValueError(f'Groups of {group!r} are in train and in val. Move each group to one side.')
        rest, held, note = train.nonzero()[:, 0], (~train).nonzero()[:, 0], 'split by the folders train and val'
    else:
        rest, held = hold_out(Split(every.paths, torch.zeros(len(names)).long(), groups), [column], seed)
        kept = '' if group is None else f', groups of {group!r} kept together'
        note = f'split here, 80 % and 20 %, seed {seed}{kept}'
    splits = every.rows(rest), every.rows(held)
    for where, split in zip(('training', 'test'), splits, strict=True):
        if len(split.labels.unique()) < 2:
            raise ValueError(
                f'The {len(split.paths)} {where} pictures have one value of {column!r}, {split.labels[0].item():g}. '
                f'Give more pictures.'
            )
    return Labelled(name, (column,), *splits, note, given=False)


def parse(values: str) -> tuple[Path, str]:
    """The file and the column of ``FILE.csv`` or ``FILE.csv:COLUMN``.

    Raises:
        FileNotFoundError: There is no such file.
    """
    name, colon, column = values.rpartition(':')
    file, column = (Path(values), COLUMN) if not colon or Path(values).is_file() else (Path(name), column)
    if not file.is_file():
        raise FileNotFoundError(f'There is no file {str(file)!r}; give FILE.csv or FILE.csv:COLUMN.')
    return file, column


def read_column(file: Path, column: str) -> dict[str, float]:
    """Path to value, in the order of the rows.

    Raises:
        ValueError: A column is missing, a path comes twice, a value is no finite number, or there is no row.
    """
    found: dict[str, float] = {}
    with file.open(newline='', encoding='utf-8-sig') as lines:
        rows = csv.DictReader(lines)
        names = [*(rows.fieldnames or [])]
        for needed in ('path', column):
            if needed not in names:
                raise ValueError(
                    f'{file.name} has no column {needed!r}; its columns are {names}. Name one: FILE:COLUMN.'
                )
        for row in rows:
            try:
                value = float(row[column])
            except (TypeError, ValueError):
                value = math.nan
            if not math.isfinite(value):
                raise ValueError(
                    f'{file.name}, line {rows.line_num}: {column!r} of {row["path"]!r} is {row[column]!r}, which is no '
                    f'number. Correct the value, or take the row out.'
                )
            if row['path'] in found:
                raise ValueError(f'{file.name}, line {rows.line_num}: {row["path"]!r} comes twice. Keep one row of it.')
            found[row['path']] = value
    if not found:
        raise ValueError(f'{file.name} has no rows. Give a row for each picture: path and {column}.')
    return found
