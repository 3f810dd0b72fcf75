import signal
import sys
import time

import pytest

from looc_mm.suite.process import Child, stop

from .conftest import is_alive, wait_until

BURN = 'import time\nwhile time.process_time() < 0.3: pass\n'


def python(tmp_path, code: str) -> Child:
    return Child([sys.executable, '-c', code], tmp_path / 'log', {'GREETING': 'hello'})


def test_time_of_the_child_and_of_its_children(tmp_path):
    child = python(tmp_path, f'import subprocess, sys\nsubprocess.run([sys.executable, "-c", {BURN!r}])\n{BURN}')
    wait_until(lambda: child.poll() is not None)
    assert child.code == 0
    assert 0.6 <= child.cpu_seconds < 3
    assert child.wall_seconds >= 0.6


def test_the_log_and_its_end(tmp_path):
    (tmp_path / 'log').write_text('of an earlier attempt\n')
    child = python(tmp_path, 'import os\nfor i in range(30): print(i)\nraise ValueError(os.environ["GREETING"])')
    wait_until(lambda: child.poll() is not None)
    assert child.code == 1
    assert child.last_lines(2).splitlines()[-1] == 'ValueError: hello'
    assert 'earlier' not in child.last_lines(1000) and '29' in child.last_lines(1000).splitlines()
    assert (tmp_path / 'log').read_text().startswith('of an earlier attempt\n0\n')


def test_what_a_child_leaves_behind_is_killed(tmp_path):
    child = python(
        tmp_path,
        'import subprocess, sys\n'
        'left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])\nprint(left.pid)',
    )
    wait_until(lambda: child.poll() is not None)
    wait_until(lambda: not is_alive(int(child.last_lines())))


@pytest.mark.parametrize(('ignores', 'ended_by'), [(False, signal.SIGTERM), (True, signal.SIGKILL)])
def test_stop(tmp_path, ignores, ended_by):
    ignore = 'signal.signal(signal.SIGTERM, signal.SIG_IGN)\n' if ignores else ''
    child = python(tmp_path, f'import signal, time\n{ignore}print("ready", flush=True)\ntime.sleep(600)')
    wait_until(lambda: child.last_lines() == 'ready')
    start = time.monotonic()
    stop([child], grace=0.5 if ignores else 60)
    assert child.code == -ended_by
    assert time.monotonic() - start >= 0.5 or not ignores
    stop([child])  # again, which does nothing
