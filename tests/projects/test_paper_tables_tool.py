"""tools/paper_tables.py as users start it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / 'tools/paper_tables.py'


def start(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, str(TOOL), *arguments], cwd=folder, capture_output=True, encoding='utf-8', timeout=120
    )


@pytest.fixture
def folder(tmp_path):
    for name, experiment, value in (
        ('work_dirs/a', 'moco_r18_imagenette', 57.0),
        ('runs/mine', None, 55.0),
        ('runs/moco_factors', None, 1.0),
    ):
        record = dict(
            protocol='linear', dataset='imagenette', representation='V', metric='top1', value=value, ci=None, seed=0
        )
        record |= dict(checkpoint=f'{name}/epoch_24.pth', experiment=experiment)
        path = tmp_path / 'results' / name / 'results.json'
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps([record]))
    return tmp_path


def test_tables_are_printed_and_written(folder):
    done = start(
        folder,
        *('results', '--map', 'imagenette=in100', '--method', 'runs/mine=moco_rotation', '--out', 'tables'),
    )
    assert done.returncode == 0, done.stderr
    assert '| MoCo | `moco` | – / 61.1 | 57.0 / 81.0 | – / 95.2 |' in done.stdout
    assert '| MoCo + Rotation | `moco_rotation` | – / 43.3 | 55.0 / 79.4 | – / 94.1 |' in done.stdout
    assert '(stand-in for IN-100) top-1: yes, 57.0 > 55.0' in done.stdout
    left = 'runs/moco_factors/epoch_24.pth: no method of the tables (its record names no config)'
    assert f'Left out: {left} (records: 1)' in done.stderr
    assert (folder / 'tables/paper_tables.md').read_text(encoding='utf-8') == done.stdout
    assert '<b>57.0</b> / <span>81.0</span>' in (folder / 'tables/paper_tables.html').read_text(encoding='utf-8')
    assert str(folder) not in done.stdout


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['results'], 'No result has a place in the tables'),
        (['results', '--map', 'imagenette=in1k'], "No table has the dataset 'in1k'"),
        (['results', '--map', 'imagenette'], "--map takes LEFT=RIGHT, got 'imagenette'"),
        (['results', '--map', 'a=in100', '--map', 'b=in100'], "--map got both 'a' and 'b' for 'in100'"),
        (['results', '--method', 'runs/mine=mocco'], "the methods ['mocco']"),
        (['results/none'], 'No results.json at results/none'),
    ],
)
def test_errors_are_one_line_and_write_nothing(folder, arguments, message):
    done = start(folder, *arguments)
    assert done.returncode == 1
    assert message in done.stderr and 'Traceback' not in done.stderr
    assert done.stdout == '' and not list(folder.glob('paper_tables*'))
