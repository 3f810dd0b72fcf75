"""Signals that a training gets, and the processes that it forks."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from looc_mm.stop import SIGNALS, catch_signals, requested


def run(script: str, **options) -> subprocess.CompletedProcess:
    head = 'import os, signal, sys, time\nfrom looc_mm.stop import catch_signals, requested\n'
    command = [sys.executable, '-c', head + script]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, start_new_session=True, **options)


@pytest.mark.parametrize('number', SIGNALS)
def test_the_first_signal_is_noted_and_the_second_ends_the_process(number):
    done = run(f"""
with catch_signals():
    assert not requested()
    os.kill(os.getpid(), {int(number)})
    print(requested(), flush=True)
    os.kill(os.getpid(), {int(number)})
    print('not reached', flush=True)
""")
    assert done.returncode == -number and done.stdout == 'True\n'
    assert f'{number.name}: the training stops when a checkpoint is written' in done.stderr


def test_a_group_is_signalled_and_what_was_forked_goes_on():
    """The forked process heeds its parent alone, as PyTorch ends its workers."""
    done = run("""
read, write = os.pipe()
with catch_signals():
    child = os.fork()
    if child == 0:
        os.write(write, b'1')
        time.sleep(30)
        os._exit(7)
    os.read(read, 1)
    for number in (signal.SIGINT, signal.SIGTERM):
        if os.fork() == 0:  # another process than the parent sends it
            os.kill(child, number)
            os._exit(0)
        os.wait()
    time.sleep(0.5)
    print(os.waitpid(child, os.WNOHANG), requested())
    os.kill(child, signal.SIGTERM)
    print(os.waitpid(child, 0)[1])
""")
    assert done.stdout == '(0, 0) False\n0\n', done.stderr


def test_an_ignored_signal_stays_ignored():
    done = run("""
signal.signal(signal.SIGINT, signal.SIG_IGN)
with catch_signals():
    os.kill(os.getpid(), signal.SIGINT)
    print(requested())
    os.kill(os.getpid(), signal.SIGTERM)
    print(requested(), signal.getsignal(signal.SIGINT) == signal.SIG_IGN)
""")
    assert done.stdout == 'False\nTrue True\n', done.stderr


def test_the_handlers_before_are_restored():
    before = [signal.getsignal(number) for number in SIGNALS]
    with catch_signals():
        os.kill(os.getpid(), signal.SIGTERM)
        assert requested()
    assert not requested() and [signal.getsignal(number) for number in SIGNALS] == before


def test_another_thread_catches_nothing():
    found = []

    def work():
        with catch_signals():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGTERM)]
