"""tools/suite.py as users start it, on Factors."""

import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIGS = [ROOT / f'configs/{name}_factors.py' for name in ('looc/looc', 'moco/moco')]
EVALUATE = ROOT / 'configs/linear_eval/factors.py'
SMALL = [
    '--cfg-options',
    'model.backbone.stem_channels=8',
    'model.backbone.base_channels=8',
    'model.neck.in_channels=64',
    'model.neck.queue_len=64',
    'model.data_preprocessor.pipeline.augmentations.0.size=32',
    'train_dataloader.batch_size=8',
    'train_dataloader.dataset.length=64',
    'default_hooks.checkpoint.interval=1',
    '--evaluate-options',
    *(
        f'{loader}.{option}'
        for loader in ('test_dataloader', 'test_cfg.train_dataloader')
        for option in ('dataset.length=64', 'num_workers=0')
    ),
]


def command(folder: Path, *words: object) -> list[str]:
    places = ['--records', folder / 'records', '--work-dir', folder / 'work']
    return list(map(str, [ROOT / 'tools/suite.py', *words, *places]))


def run(folder: Path, *words: object) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *command(folder, *words)], capture_output=True, text=True, timeout=600)


def processes(folder: Path) -> list[int]:
    """Those whose command line names the folder."""
    found = []
    for path in Path('/proc').glob('[0-9]*/cmdline'):
        try:
            if str(folder).encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:  # it has ended meanwhile
            continue
    return found


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='/proc, and children that the kernel ends')
def test_killed_in_mid_training_and_started_again(tmp_path, monkeypatch, capfd):
    words = [*CONFIGS, '--seeds', '3', '--evaluate', EVALUATE, '--epochs', '2', *SMALL]
    suite = subprocess.Popen([sys.executable, *command(tmp_path, *words)], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob('work/looc_factors/*/last_checkpoint')):
        assert suite.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(suite.pid, signal.SIGKILL)
    suite.wait()
    while processes(tmp_path):  # the data loader's workers see within seconds that their parent is gone
        assert time.monotonic() < deadline
        time.sleep(0.1)
    (folder,) = tmp_path.glob('work/looc_factors/seed_3_*')
    assert not (folder / 'epoch_2.pth').exists()

    monkeypatch.setattr(sys, 'argv', command(tmp_path, *words))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / 'tools/suite.py'), run_name='__main__')
    printed = capfd.readouterr().out
    assert ended.value.code == 0, printed
    log = (folder / 'suite/train.log').read_text()
    assert 'starts from    step 8, resumed' in log
    assert re.findall(r'epoch (\d)/2  step', log) == ['1', '2']

    files = sorted((tmp_path / 'records').iterdir())
    looc, moco = [json.loads(path.read_text()) for path in files]
    assert [looc['config'], moco['config']] == [str(path.relative_to(ROOT)) for path in CONFIGS]
    assert looc['method'] == {
        'type': 'MultiHeadMoCo',
        'spaces': ['invariant', 'rotation', 'color'],
        'strategy': 'leave_one_out',
    }
    names = {f'linear/factors/V/top1/{factor}' for factor in ('shape', 'color', 'texture')}
    assert names | {'rotation/factors/V/top1/rotation'} <= set(looc['metrics']) == set(moco['metrics'])
    assert looc['train']['unmeasured'] == 1 and 'unmeasured' not in moco['train']
    for record in (looc, moco):
        assert (record['seed'], record['epochs']) == (3, 2)
        assert record['data'] == {'type': 'Factors', 'pictures': 64}
        assert min(record[phase]['cpu_seconds'] for phase in ('train', 'evaluate')) > 1
        assert record['evaluations'] == ['configs/linear_eval/factors.py']
    assert all(path.stat().st_size < 2500 and str(tmp_path) not in path.read_text() for path in files)
    row = f'| looc_factors | 1 | {looc["metrics"]["linear/factors/V/top1/shape"]:.2f} |'
    assert row in printed

    times = [path.stat().st_mtime_ns for path in files]
    again = run(tmp_path, *words)
    assert again.returncode == 0 and '2 runs, 2 of them recorded' in again.stdout and row in again.stdout
    assert [path.stat().st_mtime_ns for path in files] == times
    assert row in run(tmp_path, '--table', '--metrics', '*').stdout


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        ([CONFIGS[0], '--evaluate', ROOT / 'configs/none.py'], 'suite: There is no config'),
        ([EVALUATE, '--evaluate', EVALUATE], 'is no pretraining config'),
        ([*CONFIGS, '--evaluate', EVALUATE, '--jobs', '0'], 'suite: --jobs is at least 1, got 0.'),
        (['--table'], 'suite: There are no records in'),
    ],
)
def test_errors_are_one_line(tmp_path, words, message):
    done = run(tmp_path, *words)
    assert done.returncode == 2 and message in done.stderr and len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())
