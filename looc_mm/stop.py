"""How a training ends before its time: it is asked to stop, or the process that started it dies."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

#: Exit status of a training that was asked to stop and wrote a checkpoint first (EX_TEMPFAIL of sysexits.h).
STOPPED = 75
SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PR_SET_PDEATHSIG = 1  # of Linux's sys/prctl.h
_LIBC = ctypes.CDLL(None) if sys.platform == 'linux' else None

_requests: list[int] = []  # the signals that came
_owner: int | None = None  # the process that catches them


class TrainingStoppedError(Exception):
    """A training was asked to stop, and has written a checkpoint to resume from."""


def requested() -> bool:
    """Whether this process was asked to stop."""
    return bool(_requests)


@contextmanager
def catch_signals() -> Iterator[None]:
    """Note the first SIGINT (Ctrl-C) or SIGTERM, so that the training can save a checkpoint; the second ends at once.

    Processes that are forked meanwhile, such as those that load pictures, ignore both signals unless this process sends
    them: a terminal and Slurm send them to all processes, and a training that waits for a batch needs its workers.

    A signal that this process ignores (``nohup``) stays ignored. Python allows handlers in the main thread only; in
    another thread nothing is caught.
    """
    global _owner
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _note) for number in caught}
    _owner = os.getpid()
    try:
        yield
    finally:
        _owner = None
        _requests.clear()
        for number, handler in before.items():
            signal.signal(number, handler)


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends, however that happens; on Linux only.

    For the ``preexec_fn`` of a process that the main thread starts.
    """
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _note(number: int, frame: FrameType | None) -> None:
    if os.getpid() != _owner:
        return
    _requests.append(number)
    for each in SIGNALS:
        if signal.getsignal(each) is _note:
            signal.signal(each, signal.SIG_DFL)
    name = signal.Signals(number).name
    os.write(2, f'\n{name}: the training stops when a checkpoint is written; a second {name} ends it now.\n'.encode())


def _ignore_in_child() -> None:
    """Leave SIGINT and SIGTERM to a thread, which heeds them only from the parent."""
    if _owner is not None and hasattr(signal, 'sigwaitinfo'):  # macOS has none
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        threading.Thread(target=_wait_for_parent, daemon=True).start()


def _wait_for_parent() -> None:
    while signal.sigwaitinfo(SIGNALS).si_pid != os.getppid():
        pass
    os._exit(0)


os.register_at_fork(after_in_child=_ignore_in_child)
