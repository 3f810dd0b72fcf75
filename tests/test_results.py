"""results.json: what is added, what is replaced, and two writers at once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from looc_mm.results import KEY, add_results, newest, read_results

FIRST = dict.fromkeys(KEY, 'a') | {'checkpoint': 'run/epoch_1.pth', 'value': 1.0}
WRITER = """
import sys
from looc_mm.results import KEY, add_results
for step in range(40):
    add_results(sys.argv[1], [dict.fromkeys(KEY, 'a') | {'seed': f'{sys.argv[2]} {step}', 'value': step}])
"""


@pytest.mark.parametrize('name', KEY)
def test_a_record_that_differs_in_the_key_is_added(tmp_path, name):
    path = tmp_path / 'new/results.json'
    add_results(path, [FIRST])
    add_results(path, [FIRST | {name: 'b', 'value': 2.0}])
    assert [each['value'] for each in read_results(path)] == [1, 2]
    add_results(path, [FIRST | {'value': 3.0, 'seconds': 5}])
    assert [(each[name], each['value']) for each in read_results(path)] == [('b', 2), ('a', 3)]
    assert sorted(each.name for each in path.parent.iterdir()) == ['.results.json.lock', 'results.json']


def test_records_without_a_key_are_kept_as_they_are(tmp_path):
    """Files of earlier versions: two of their records can look alike."""
    path = tmp_path / 'results.json'
    old = [{'protocol': 'knn', 'value': 1.0}, {'protocol': 'knn', 'value': 2.0}]
    path.write_text(json.dumps(old))
    add_results(path, [FIRST])
    assert read_results(path) == [*old, FIRST]


@pytest.mark.parametrize('content', ['[{', '{}', '[1]'])
def test_a_file_of_something_else_is_not_replaced(tmp_path, content):
    path = tmp_path / 'results.json'
    path.write_text(content)
    with pytest.raises(ValueError, match='results.json .*Move it away, or give another --work-dir'):
        add_results(path, [FIRST])
    assert path.read_text() == content


def test_two_processes_that_write_at_once_lose_nothing(tmp_path):
    path = tmp_path / 'results.json'
    writers = [subprocess.Popen([sys.executable, '-c', WRITER, str(path), name]) for name in ('one', 'two')]
    assert [each.wait(timeout=120) for each in writers] == [0, 0]
    found = {each['seed'] for each in read_results(path)}
    assert found == {f'{name} {step}' for name in ('one', 'two') for step in range(40)}
    assert not list(tmp_path.glob('*.part')), 'no part is left'


def test_the_newest_of_a_checkpoint_that_was_trained_again():
    again = FIRST | {'weights': 'b'}
    other = FIRST | {'checkpoint': 'other/epoch_1.pth'}
    seed = FIRST | {'seed': 'b'}
    assert newest([FIRST, other, seed, again, again | {'metric': 'top5'}]) == [
        other,
        seed,
        again,
        again | {'metric': 'top5'},
    ]
    changed = FIRST | {'data': 'b'}
    assert newest([FIRST, changed]) == [changed] and newest([]) == []


def test_the_key_is_documented():
    text = Path(__file__).parents[1].joinpath('docs/evaluation.md').read_text()
    assert all(f'`{name}`' in text for name in KEY)
