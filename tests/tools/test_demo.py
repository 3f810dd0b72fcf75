"""The demo's claim on a shortened run: LooC keeps colour and rotation where MoCo does not."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_ranking_holds(tmp_path):
    command = [sys.executable, ROOT / 'tools/demo.py', '--work-dir', tmp_path, '--epochs', '8']
    run = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert run.returncode == 0, run.stderr[-3000:]
    records = json.loads((tmp_path / 'results.json').read_text())
    scores = {(r['method'], r['factor']): r['value'] for r in records if r['metric'] == 'top1'}
    assert set(scores) == {(m, f) for m in ('moco', 'looc') for f in ('color', 'shape', 'texture', 'rotation')}
    assert scores['looc', 'color'] > scores['moco', 'color'] + 10
    assert scores['looc', 'rotation'] > scores['moco', 'rotation']
    assert f'{scores["looc", "color"]:.1f}' in run.stdout
    assert cv2.imread(str(tmp_path / 'demo.png')).shape[1] > 1000
