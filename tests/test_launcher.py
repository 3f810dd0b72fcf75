"""Processes that are started together and end together. They are small programs; tests/engine trains with them."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from looc_mm.stop import STOPPED

#: Notes its process id, then runs what the test gives.
HEAD = """
import os, signal, sys, time
rank = int(os.environ['RANK'])
open(f'{sys.argv[1]}/{rank}', 'w').write(str(os.getpid()))
"""
WAIT = 'time.sleep(60)\n'


@pytest.fixture
def start(tmp_path):
    """Starts two processes with the launcher; waits until both have noted their ids."""
    launched = []

    def run(program, ready=True, **environment):
        script = tmp_path / 'program.py'
        script.write_text(HEAD + program)
        command = [sys.executable, '-m', 'looc_mm.launcher', '2', str(script), str(tmp_path)]
        kept = {key: value for key, value in os.environ.items() if key not in ('PORT', 'NNODES', 'NODE_RANK')}
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        process = subprocess.Popen(command, env={**kept, **environment}, **pipes)
        launched.append(process)
        while ready and len(ids(tmp_path)) < 2:
            time.sleep(0.05)
        return process

    yield run
    for process in launched:
        process.kill()
        process.communicate()


def ids(folder: Path) -> list[int]:
    """Process ids of the ranks."""
    found = [path.read_text() for path in (folder / '0', folder / '1') if path.exists()]
    return [int(each) for each in found if each]


def alive(process: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    return False


def wait_for_the_end(processes: list[int]) -> None:
    deadline = time.monotonic() + 20
    while any(map(alive, processes)):
        assert time.monotonic() < deadline, 'processes are left'
        time.sleep(0.05)


def test_the_variables_of_the_processes(start):
    names = ['RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'LOCAL_WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT', 'OMP_NUM_THREADS']
    program = f'print(*(os.environ[name] for name in {names}))'
    nodes = dict(NNODES='2', NODE_RANK='1', MASTER_ADDR='10.0.0.1', PORT='29501', OMP_NUM_THREADS='3')
    process = start(program, ready=False, **nodes)
    assert sorted(process.communicate(timeout=60)[0].splitlines()) == [
        '2 0 4 2 10.0.0.1 29501 3',
        '3 1 4 2 10.0.0.1 29501 3',
    ]
    assert process.returncode == 0


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_goes_to_every_process_once(start, tmp_path, number):
    process = start(f"""
caught = []
for each in (signal.SIGINT, signal.SIGTERM):
    signal.signal(each, lambda number, frame: caught.append(number))
open(f'{{sys.argv[1]}}/{{rank}}.ready', 'w').close()
while not caught:
    time.sleep(0.05)
time.sleep(1)
print(caught, flush=True)
sys.exit({STOPPED})
""")
    while len(list(tmp_path.glob('*.ready'))) < 2:
        time.sleep(0.05)
    os.killpg(process.pid, number)  # as a terminal does
    assert process.communicate(timeout=60)[0] == f'[{int(number)}]\n' * 2
    assert process.returncode == STOPPED


@pytest.mark.parametrize(
    'how, said, status',
    [
        ('sys.exit(3)', 'Process 1 ended with status 3', 3),
        ('os.kill(os.getpid(), signal.SIGKILL)', 'Process 1 was ended by SIGKILL', 137),
    ],
)
def test_a_process_that_fails_ends_the_others(start, tmp_path, how, said, status):
    """The others would not heed a signal: they wait for the one that failed."""
    process = start(f"""
signal.signal(signal.SIGTERM, signal.SIG_IGN)
time.sleep(1)
if rank == 1:
    {how}
{WAIT}""")
    begun = time.monotonic()
    assert said in process.communicate(timeout=60)[1]
    assert process.returncode == status and time.monotonic() - begun < 20
    wait_for_the_end(ids(tmp_path))


@pytest.mark.skipif(sys.platform != 'linux', reason='the kernel of Linux ends them')
def test_no_process_is_left_when_the_launcher_is_killed(start, tmp_path):
    process = start('signal.signal(signal.SIGTERM, signal.SIG_IGN)\n' + WAIT)
    assert all(map(alive, ids(tmp_path)))
    process.kill()
    wait_for_the_end(ids(tmp_path))
