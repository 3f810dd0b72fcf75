"""The tables of results are those of the records."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / 'projects/results/page.py'


@pytest.fixture
def page():
    spec = importlib.util.spec_from_file_location('results_page', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def record(config, seed, value, epochs=3, cpu=120.0):
    metrics = {'linear/imagenette/V/top1': value, 'linear/imagenette/V/top5': 99.0}
    kept = dict(key=f'{config}{seed}', config=f'configs/x/{config}.py', config_key=config, changes={})
    return dict(kept, seed=seed, metrics=metrics, epochs=epochs, train={'cpu_seconds': cpu})


def test_mean_interval_and_minutes(page):
    rows = [record('moco_rotation_r18_imagenette', seed, value) for seed, value in enumerate((50.0, 52.0, 54.0))]
    rows += [record('looc_r18_imagenette', 0, 60.0), record('looc_r18_imagenette', 0, 30.0, epochs=0, cpu=0.0)]
    lines = page.table(rows).splitlines()
    assert lines[0] == '| V, top-1 % | seeds | epochs | CPU minutes | class |'
    assert lines[2] == '| random weights | 1 | 0 |  | 30.0 |'
    # t of two degrees of freedom is 4.303, the deviation 2: 4.303 * 2 / sqrt(3)
    assert lines[3] == '| MoCo v2 + rotation | 3 | 3 | 2.0 | 52.0 ± 5.0 |'
    assert lines[4] == '| LooC: rotation, color | 1 | 3 | 2.0 | 60.0 |'


def test_looc_plus_plus_has_all_spaces_for_v(page):
    row = record('loocpp_r18_imagenette', 0, 0.0)
    row.update(method={'spaces': ['invariant', 'color']}, metrics={'linear/imagenette/invariant+color/top1': 61.0})
    assert page.table([row]).splitlines()[-1] == '| LooC++: rotation, color | 1 | 3 | 2.0 | 61.0 |'


def test_fill_replaces_what_is_between_the_markers(page, tmp_path):
    (tmp_path / 'some').mkdir()
    (tmp_path / 'some/a.json').write_text(json.dumps(record('moco_r18', 0, 41.25)))
    made = page.fill('before\n<!-- records: some -->\nold\n<!-- end -->\nafter', tmp_path)
    assert made.startswith('before\n<!-- records: some -->\n') and made.endswith('\n<!-- end -->\nafter')
    assert '| MoCo v2 | 1 | 3 | 2.0 | 41.2 |' in made and 'old' not in made
    assert page.fill(made, tmp_path) == made
    with pytest.raises(ValueError, match='no records'):
        page.fill('<!-- records: other -->\n\n<!-- end -->', tmp_path)


def test_the_pages_are_what_the_records_give():
    done = subprocess.run([sys.executable, SCRIPT, '--check'], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
