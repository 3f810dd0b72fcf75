"""The benchmark of what processes send: what is counted is what the formula says."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'


@pytest.mark.slow
def test_counted_bytes_are_the_formulas(tmp_path):
    command = [sys.executable, str(BENCHMARKS / 'scaling.py'), '--quick', '--json', str(tmp_path / 'scaling.json')]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr[-3000:]
    found = json.loads((tmp_path / 'scaling.json').read_text())
    assert found['ratios']['keys, 2 processes, bfloat16: counted / formula'] == 1
    assert found['ratios']['gradients, 2 processes, bfloat16: counted / formula'] == 1
    for name in ('images', 'embeddings'):  # of a permutation it is the mean
        assert found['ratios'][f'{name}, 2 processes, bfloat16: counted / formula'] == pytest.approx(1, abs=0.1)
    large = [row for row in found['rows'] if row['what'] == 'formula, ResNet-50']
    assert [row['processes'] for row in large] == [8, 64, 256, 1024] * 2
    assert large[3]['images MB'] == pytest.approx(57.7, abs=0.1) and large[7]['images MB'] < 29
