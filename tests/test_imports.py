"""Data flows one way: a package imports only from packages before it."""

import ast
import re
from pathlib import Path

import pytest

import looc_mm
from looc_mm import openmmlab

ROOT = Path(looc_mm.__file__).parent
ORDER = [
    'version',
    'configs',
    'files',
    'machine',
    'openmmlab',
    'registry',
    'randomness',
    'augmentations',
    'plugins',
    'strategies',
    'views',
    'testing',
    'datasets',
    'corruptions',
    'stylization',
    'stored_config',
    'models',
    'checkpoint',
    'engine',
    'visualization',
    'evaluation',
    'export',
    'answer',
    'suite',
    'pretraining',
    'cli',
    '__main__',
]


def imported(path: Path) -> set[str]:
    """Names of the looc_mm parts that a file imports."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names += [
                f'{node.module}.{alias.name}' if node.module == 'looc_mm' else node.module for alias in node.names
            ]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return {name.split('.')[1] for name in names if name.startswith('looc_mm.')}


def test_one_file_imports_mmpretrain_and_mmcv():
    importing = re.compile(r"^\s*(from|import) (mmpretrain|mmcv)\b|import_module\('(mmpretrain|mmcv)", re.MULTILINE)
    found = [path.relative_to(ROOT) for path in ROOT.rglob('*.py') if importing.search(path.read_text())]
    assert not found, f'import {", ".join(openmmlab.HOMES)} and the like from looc_mm.openmmlab'


def test_every_name_of_openmmlab_is_found_and_used():
    used = {
        alias.name
        for path in ROOT.rglob('*.py')
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module == 'looc_mm.openmmlab'
        for alias in node.names
    }
    assert used == set(openmmlab.HOMES)
    for name in openmmlab.HOMES:
        getattr(openmmlab, name)
    with pytest.raises(AttributeError, match=r"no 'MoCo'; it has \['BaseDataset'"):
        openmmlab.MoCo  # noqa: B018


def test_imports_follow_the_data():
    seen = set()
    for path in ROOT.rglob('*.py'):
        part = path.relative_to(ROOT).parts[0].removesuffix('.py')
        if part == '__init__':
            continue
        assert part in ORDER, f'{part} has no place in the order yet'
        seen.add(part)
        for other in imported(path) - {part}:
            assert ORDER.index(other) < ORDER.index(part), f'{path.relative_to(ROOT)} imports {other}'
    assert seen == set(ORDER)
