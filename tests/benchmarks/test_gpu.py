"""The measurement on a GPU, dry: every part runs, its report is written, and what is done is not done again."""

import json
import re
import subprocess
import sys

import pytest

from .conftest import BENCHMARKS

PARTS = ['check', 'ceilings', 'speed', 'train', 'imagenette', 'compile']
CHECKS = [
    'views',
    'augmentations',
    'objective',
    'objective_bf16',
    'queue',
    'resume',
    'distributed',
    'export',
    'host waits',
]
FACTORS = ['configs/looc/looc_factors.py', '--seeds', '0', '--evaluate', 'configs/linear_eval/factors.py']


def gpu(*words, cwd, fails=False):
    command = [sys.executable, str(BENCHMARKS / 'gpu.py'), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=3000)
    assert bool(done.returncode) == fails, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.slow
def test_dry_run_of_all_parts(tmp_path):
    out = tmp_path / 'gpu'
    gpu('all', '--dry-run', '--out', out, cwd=tmp_path)
    gpu('suite', '--dry-run', '--out', out, '--', *FACTORS, cwd=tmp_path)
    assert {file.name for file in out.iterdir()} == {'results.json', 'log.txt', 'report.md', 'phases.png'}
    results = json.loads((out / 'results.json').read_text())
    assert list(results) == [*PARTS, 'suite'] and all(part['done'] for part in results.values())
    assert [row['check'] for row in results['check']['checks']] == CHECKS
    assert all(row['passed'] for row in results['check']['checks'])
    assert set(results['speed']) >= {'views', 'phases', 'flops', 'step', 'loader', 'worker'}
    phases = results['speed']['phases']['n = 1']
    parts = sum(phases[name] for name in ('views', 'keys', 'query', 'loss', 'backward', 'optimizer', 'other'))
    assert parts == pytest.approx(phases['ms'], rel=0.5)
    for part in ('imagenette', 'suite'):
        (record,) = results[part]['records']
        assert record['metrics'] and record['epochs'] == 1

    before = (out / 'results.json').read_bytes()
    assert gpu('all', '--dry-run', '--out', out, cwd=tmp_path).count('done before') == len(PARTS)
    assert (out / 'results.json').read_bytes() == before

    docs = tmp_path / 'page.md'
    page = (BENCHMARKS.parent / 'docs/performance.md').read_text()
    docs.write_text(page)
    gpu('report', out, '--docs', docs, cwd=tmp_path)
    written = docs.read_text()
    assert 'A dry run at a tiny size: these figures mean nothing.' in written
    begin, end = '<!-- GPU begin', '<!-- GPU end -->'
    assert written.split(begin)[0] == page.split(begin)[0] and written.split(end)[1] == page.split(end)[1]
    docs.write_text('no markers')
    assert 'lacks the lines' in gpu('report', out, '--docs', docs, cwd=tmp_path, fails=True)


def test_bad_words_are_refused_at_once(tmp_path):
    assert "unknown parts ['spede']" in gpu('spede', '--dry-run', cwd=tmp_path, fails=True)
    assert 'behind --' in gpu('suite', '--dry-run', cwd=tmp_path, fails=True)
    assert 'no results.json' in gpu('report', tmp_path, cwd=tmp_path, fails=True)
    import torch

    if not torch.cuda.is_available():
        assert 'no CUDA device was found' in gpu('ceilings', cwd=tmp_path, fails=True)


def test_the_page_has_the_markers_of_the_report():
    page = (BENCHMARKS.parent / 'docs/performance.md').read_text()
    assert len(re.findall('<!-- GPU (begin|end)', page)) == 2


@pytest.mark.slow
def test_the_loop_of_eq_2_is_that_of_the_package(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from on_gpu.check import objective, objective_bf16

    for check in (objective, objective_bf16):
        found, allowed, _ = check(None)
        assert 0 < found <= allowed
