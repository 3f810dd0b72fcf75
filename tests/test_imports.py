"""Data flows one way: a package imports only what comes before it; one file imports MMPreTrain and MMCV."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import looc_mm
from looc_mm import stack

ROOT = Path(looc_mm.__file__).parent
ORDER = [
    'version',
    'stack',
    'configs',
    'files',
    'whole',
    'untrusted',
    'stop',
    'launcher',
    'results',
    'machine',
    'registry',
    'channels',
    'config_check',
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
    'multichannel',
    'checkpoint',
    'visualization',
    'engine',
    'evaluation',
    'export',
    'answer',
    'audit',
    'fit',
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


def of_the_stack(text: str) -> list[str]:
    """The modules of MMPreTrain and MMCV that a program imports, by a statement or by name."""
    names: list[str] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.append(str(node.module))
        elif isinstance(node, ast.Call) and 'import' in ast.unparse(node.func):
            names += [
                each.value for each in node.args if isinstance(each, ast.Constant) and isinstance(each.value, str)
            ]
    return [name for name in names if name.partition('.')[0] in ('mmpretrain', 'mmcv')]


def test_one_file_imports_mmpretrain_and_mmcv():
    found = {str(path.relative_to(ROOT)): of_the_stack(path.read_text()) for path in ROOT.rglob('*.py')}
    assert not {path: names for path, names in found.items() if names}, 'import it from looc_mm.stack'


@pytest.mark.parametrize(
    'text',
    [
        'import mmcv',
        'import numpy, mmpretrain.models as m',
        'from mmpretrain import registry',
        'def f():\n    from mmcv.transforms import Compose',
        "import_module('mmpretrain.datasets')",
        "importlib.import_module('mmcv')",
        "__import__('mmcv')",
    ],
)
def test_imports_of_the_stack_are_found(text):
    assert of_the_stack(text)


def test_what_is_used_of_the_stack_exists():
    for name, module in stack.USED.items():
        assert getattr(stack, name) is getattr(sys.modules[module], name)
    with pytest.raises(AttributeError, match='has no .Cub.'):
        stack.Cub  # noqa: B018


def test_the_stack_is_imported_when_a_name_is_used():
    code = """
import sys
from looc_mm import stack
assert not {'mmcv', 'mmpretrain', 'torch'} & set(sys.modules)
stack.registry
assert 'mmpretrain' in sys.modules
assert 'mmpretrain.models' not in sys.modules
"""
    subprocess.run([sys.executable, '-c', code], check=True, timeout=120)
