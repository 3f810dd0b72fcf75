"""The benchmark of training from files runs; nothing here is timed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'


@pytest.mark.slow
def test_it_reports_every_case(tmp_path):
    options = ['--quick', '--size', '32', '--batch', '4', '--rounds', '1', '--steps', '1']
    command = [sys.executable, str(BENCHMARKS / 'train.py'), *options, '--json', str(tmp_path / 'train.json')]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr[-3000:]
    found = json.loads((tmp_path / 'train.json').read_text())
    cases = ['LooC(2), from files', 'LooC(2), a batch that lies ready', "MMPreTrain's MoCo v2, from files"]
    assert [row['case'] for row in found['rows']] == cases
    assert all(row['images/s'] > 0 for row in found['rows'])
    assert set(found['ratios']) == {'from files / lies ready', "LooC(2) / MMPreTrain's MoCo v2"}
