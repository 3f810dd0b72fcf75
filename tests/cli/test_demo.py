"""The demo on short runs: LooC keeps colour and rotation where MoCo does not, and a second run repeats the first."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

ROOT = Path(__file__).parents[2]


def demo(work_dir: Path, epochs: int) -> tuple[list[dict], str]:
    """Run the demo; returns its records and what it printed."""
    command = [sys.executable, ROOT / 'tools/demo.py', '--work-dir', work_dir, '--epochs', str(epochs)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert run.returncode == 0, run.stderr[-3000:]
    return json.loads((work_dir / 'results.json').read_text()), run.stdout


@pytest.mark.slow
def test_ranking_holds(tmp_path):
    records, printed = demo(tmp_path, epochs=8)
    scores = {(r['method'], r['factor']): r['value'] for r in records if r['metric'] == 'top1'}
    assert set(scores) == {(m, f) for m in ('moco', 'looc') for f in ('color', 'shape', 'texture', 'rotation')}
    assert scores['looc', 'color'] > scores['moco', 'color'] + 10
    assert scores['looc', 'rotation'] > scores['moco', 'rotation']
    assert f'{scores["looc", "color"]:.1f}' in printed
    assert cv2.imread(str(tmp_path / 'demo.png')).shape[1] > 1000


@pytest.mark.slow
def test_a_second_run_in_the_same_folder_gives_the_same_scores(tmp_path):
    first, second = (demo(tmp_path, epochs=2)[0] for _ in range(2))
    assert [{**record, 'seconds': None} for record in second] == [{**record, 'seconds': None} for record in first]
