"""Data flows one way: a package imports only from packages before it."""

import ast
from pathlib import Path

import looc_mm

ROOT = Path(looc_mm.__file__).parent
ORDER = [
    'version',
    'configs',
    'files',
    'machine',
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
