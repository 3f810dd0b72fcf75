"""The benchmark of the views runs and reports every case; nothing here is timed."""

import json
import math
import subprocess
import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'


def test_it_reports_every_case(tmp_path):
    command = [sys.executable, str(BENCHMARKS / 'views.py'), '--quick', '--json', str(tmp_path / 'views.json')]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-3000:]
    found = json.loads((tmp_path / 'views.json').read_text())
    rows = {row['views']: row for row in found['rows']}
    assert {'MMPreTrain', 'torchvision v1, PIL', 'torchvision v2, uint8', 'looc_mm'} <= set(rows)
    for library in ('albumentations', 'kornia'):
        assert (library in rows) != (f'{library} is not installed' in run.stdout)
    numbers = [value for row in rows.values() for key, value in row.items() if key != 'views']
    assert all(math.isfinite(number) and number > 0 for number in [*numbers, *found['ratios'].values()])
    assert rows['MMPreTrain']['x MMPreTrain'] == 1 and 'looc_mm / MMPreTrain' in found['ratios']
