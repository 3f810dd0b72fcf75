"""``results.json``: the records of evaluations, to which each evaluation adds its own.

A record has a key. A record of the same key replaces the earlier one, and all others stay: those of another seed, of
other pictures, or of a run whose folder has the same name. So two evaluations may write one file, also at once.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from looc_mm.files import atomic_write, locked

#: What distinguishes a value from every other one; looc_mm/evaluation/run.py explains the fields.
KEY = ('weights', 'data', 'dataset', 'protocol', 'representation', 'seed', 'classes', 'metric', 'solver', 'factor')


def record_key(record: dict[str, Any]) -> str:
    """The key of a record, as text."""
    return json.dumps([record.get(name) for name in KEY])


def read_results(path: str | Path) -> list[dict[str, Any]]:
    """The records of a file, the newest last; none if there is no such file.

    Raises:
        ValueError: The file holds something else.
    """
    path = Path(path)
    if not path.exists():
        return []
    try:
        records = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(
            f'{path} cannot be read as JSON ({error}). Move it away, or give another --work-dir.'
        ) from error
    if not isinstance(records, list) or not all(isinstance(each, dict) for each in records):
        raise ValueError(f'{path} is no list of records. Move it away, or give another --work-dir.')
    return records


def add_results(path: str | Path, records: Iterable[dict[str, Any]]) -> None:
    """Add records to a file; each replaces the earlier one of its key.

    A reader sees the file before or after that, and of two processes that add at once neither loses a record.

    Args:
        path: The file.
        records: What to add.

    Raises:
        ValueError: As :func:`read_results`.
    """
    added = list(records)
    keys = {record_key(each) for each in added}
    with locked(path), atomic_write(path) as part:
        kept = [each for each in read_results(path) if record_key(each) not in keys]
        part.write_text(json.dumps([*kept, *added], indent=2) + '\n')


def newest(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each checkpoint's path, seed and dataset the records of the weights and pictures that were evaluated last.

    A path and a name can come to mean something else: the training was repeated in its folder, or the pictures have
    changed.
    """
    listed = list(records)

    def name(record: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(record.get(key) for key in ('checkpoint', 'seed', 'dataset'))

    def content(record: dict[str, Any]) -> tuple[Any, ...]:
        return record.get('weights'), record.get('data')

    last = {name(each): content(each) for each in listed}
    return [each for each in listed if content(each) == last[name(each)]]
