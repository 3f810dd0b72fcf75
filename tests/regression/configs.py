"""Compare all configs with those of another commit, by value.

python -m tests.regression.configs COMMIT  # exits 1 if a config is missing or has another value

Two configs are equal if they build equal dicts. The order of keys does not count, and helper names do not: those at the
top level that begin with ``_``. Tuples and lists differ.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .reference import ROOT


def leaves(root: Path) -> dict[str, Path]:
    """The configs that users start, by name; those in ``_base_`` are parts of them."""
    paths = {path.relative_to(root).as_posix(): path for path in sorted(root.glob('*/*.py'))}
    return {name: path for name, path in paths.items() if not name.startswith('_base_')}


def value(path: Path) -> dict[str, Any]:
    """What a config builds, without its helper names."""
    return {key: entry for key, entry in Config.fromfile(path).to_dict().items() if not key.startswith('_')}


def differences(old: Any, new: Any, path: str = '') -> Iterator[str]:
    """Each place where two values differ, with both."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from differences(old.get(key, 'nothing'), new.get(key, 'nothing'), f'{path}.{key}')
    elif type(old) is type(new) and isinstance(old, list | tuple) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from differences(*pair, f'{path}[{index}]')
    elif type(old) is not type(new) or old != new:
        yield f'{path}: {old!r} became {new!r}'


def compare(old_root: Path, new_root: Path) -> dict[str, list[str]]:
    """What differs in each config; a config that only one of two folders has differs."""
    old, new = leaves(old_root), leaves(new_root)
    found = {name: ['only one of two commits has it'] for name in old.keys() ^ new.keys()}
    both = sorted(old.keys() & new.keys())
    found |= {name: list(differences(value(old[name]), value(new[name]))) for name in both}
    return found


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='Compare all configs with those of another commit, by value.')
    parser.add_argument('commit')
    commit = parser.parse_args().commit
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(['git', 'archive', commit, 'configs'], cwd=ROOT, check=True, capture_output=True)
        subprocess.run(['tar', '-x', '-C', folder], input=archive.stdout, check=True)
        found = compare(Path(folder, 'configs'), ROOT / 'configs')
    for name, each in found.items():
        for line in each:
            print(f'{name}: {line}')
    print(f'{sum(not each for each in found.values())} of {len(found)} configs are equal to those of {commit}.')
    sys.exit(any(found.values()))
