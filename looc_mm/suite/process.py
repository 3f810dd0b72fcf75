"""A child process with a log, a process group and a measurement of its time."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from looc_mm.stop import die_with_parent

POLL_SECONDS = 0.1
GRACE_SECONDS = 5.0  # from SIGTERM to SIGKILL


class Child:
    """A command that runs in a process group of its own.

    On Linux the kernel kills it when this process dies, however that happens. It must be made by the main thread.

    Args:
        command: Program and arguments.
        log: What the child prints is appended here.
        environment: Variables that are set beside those of this process.

    Attributes:
        code: Exit status, negative for a signal; None while the child runs.
        cpu_seconds: User and system time of the child and of its own children that it has waited for.
        wall_seconds: From start to end.
    """

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self.code: int | None = None
        self.cpu_seconds = self.wall_seconds = 0.0
        self.log = log
        self._start = time.monotonic()
        with log.open('ab') as file:
            self._log_start = file.tell()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def poll(self) -> int | None:
        """The exit status, or None while the child runs; what a child leaves behind in its group is killed."""
        if self.code is None:
            pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
            if pid:
                self.code = self._process.returncode = os.waitstatus_to_exitcode(status)
                self.cpu_seconds = usage.ru_utime + usage.ru_stime
                self.wall_seconds = time.monotonic() - self._start
                self.signal(signal.SIGKILL)
        return self.code

    def signal(self, number: int) -> None:
        """Send a signal to the whole group, if any of it is left."""
        with suppress(ProcessLookupError, PermissionError):  # macOS answers the latter for a group of zombies
            os.killpg(self._process.pid, number)

    def last_lines(self, count: int = 12) -> str:
        """The end of what this child printed."""
        with self.log.open('rb') as file:
            file.seek(max(self._log_start, file.seek(0, os.SEEK_END) - 20_000))
            return '\n'.join(file.read().decode(errors='replace').splitlines()[-count:])


def stop(children: Iterable[Child], grace: float = GRACE_SECONDS) -> None:
    """End children: SIGTERM to all, and SIGKILL to those that remain after ``grace`` seconds."""
    running = [child for child in children if child.poll() is None]
    for child in running:
        child.signal(signal.SIGTERM)
    deadline = time.monotonic() + grace
    while any(child.poll() is None for child in running):
        if time.monotonic() > deadline:
            for child in running:
                if child.code is None:
                    child.signal(signal.SIGKILL)
        time.sleep(POLL_SECONDS)
