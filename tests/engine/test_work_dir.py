import errno
import fcntl
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from looc_mm.engine.work_dir import lock_work_dir, refuse_used

HOLD = """
import os, sys, time
from looc_mm.engine.work_dir import lock_work_dir
with lock_work_dir(sys.argv[1], 'none'):
    if os.fork() == 0:  # as a worker that loads pictures, which outlives its parent for some seconds
        time.sleep(60)
        os._exit(0)
    print('locked', flush=True)
    time.sleep(60)
"""


def try_lock(work_dir: Path) -> None:
    with lock_work_dir(work_dir, 'none'):
        pass


@pytest.fixture
def holder(tmp_path):
    """Another process that has locked the work dir, and a worker of it."""
    command = [sys.executable, '-c', HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None and process.stdout.readline() == 'locked\n'
        yield process
        os.killpg(process.pid, signal.SIGKILL)


def test_a_second_training_is_refused_until_the_first_is_killed(holder, tmp_path):
    first = re.escape(f'process {holder.pid} on {socket.gethostname()}')
    with pytest.raises(ValueError, match=f'is in use by another training: {first}. .* or give another --work-dir'):
        try_lock(tmp_path)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with lock_work_dir(tmp_path, 'none') as warning:
        assert warning is None
        assert Path(tmp_path, '.lock').read_text() == f'process {os.getpid()} on {socket.gethostname()}\n'


def test_the_lock_ends_with_the_block(tmp_path):
    for expected in (1, 0):
        other = multiprocessing.get_context('spawn').Process(target=try_lock, args=(tmp_path,))
        if expected:
            with lock_work_dir(tmp_path, 'none'):
                other.start()
                other.join()
        else:
            other.start()
            other.join()
        assert other.exitcode == expected


@pytest.mark.parametrize('launcher, variable', [('pytorch', 'RANK'), ('slurm', 'SLURM_PROCID')])
def test_only_the_main_process_takes_the_lock(holder, tmp_path, monkeypatch, launcher, variable):
    monkeypatch.setenv(variable, '1')
    with lock_work_dir(tmp_path, launcher) as warning:
        assert warning is None
    with pytest.raises(ValueError, match='is in use'), lock_work_dir(tmp_path, 'none'):
        pass  # two processes that were started without a launcher are two trainings
    monkeypatch.setenv(variable, '0')
    with pytest.raises(ValueError, match='is in use'), lock_work_dir(tmp_path, launcher):
        pass


def test_a_file_system_without_locks_gets_a_warning(tmp_path, monkeypatch):
    def no_lock(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, 'lockf', no_lock)
    with lock_work_dir(tmp_path, 'none') as warning:
        assert warning is not None and 'cannot be locked (No locks available)' in warning


@pytest.mark.parametrize('resume, overwrite', [(True, False), (False, True)])
def test_a_used_folder_needs_a_decision(tmp_path, resume, overwrite):
    refuse_used(tmp_path / 'none', False, False)
    refuse_used(tmp_path, False, False)
    (tmp_path / 'iter_30.pth').touch()
    with pytest.raises(ValueError, match='the last one iter_30.pth'):
        refuse_used(tmp_path, False, False)
    refuse_used(tmp_path, resume, overwrite)
