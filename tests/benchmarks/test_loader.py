"""The benchmark of the loader runs and reports every case; nothing here is timed."""

import json
import math
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'


def test_it_reports_every_case(tmp_path):
    command = [sys.executable, str(BENCHMARKS / 'loader.py'), '--quick', '--json', str(tmp_path / 'loader.json')]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-3000:]
    found = json.loads((tmp_path / 'loader.json').read_text())
    names = [row['pictures'] for row in found['rows']]
    assert len(names) == len(set(names))
    assert {'MMPreTrain, 4 views', 'looc_mm, LoadCanvas and PackCanvas', 'looc_mm, CanvasShards'} <= set(names)
    numbers = [value for row in found['rows'] for key, value in row.items() if key != 'pictures']
    assert all(math.isfinite(number) and number > 0 for number in [*numbers, *found['ratios'].values()])
