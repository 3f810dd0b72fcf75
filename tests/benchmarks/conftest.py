import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'


@pytest.fixture
def run_benchmark(tmp_path):
    """Runs a benchmark as a process: (rows, ratios, what it printed)."""

    def run(name, *options):
        file = tmp_path / f'{name}.json'
        command = [sys.executable, str(BENCHMARKS / f'{name}.py'), '--quick', *map(str, options), '--json', str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]
        found = json.loads(file.read_text())
        return found['rows'], found['ratios'], done.stdout

    return run
