"""When the runs of a suite start, within its time, and what the user sees of it."""

import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean
from types import FrameType

from tqdm import tqdm

from .job import EVALUATE, TRAIN, BusyError, FailedError, Job, Site, read_state
from .plan import Run
from .process import POLL_SECONDS, stop

COMPLETE, FAILED, LEFT = 0, 1, 3  # exit statuses; 128 + n after signal n


class Suite:
    """Runs that are not recorded yet, side by side and one after another.

    Args:
        runs: What to do, in this order.
        site: Where.
        recorded: How many runs of the same plan are recorded already, for the progress bar.
        jobs: How many run side by side.
        deadline: On the clock of ``time.monotonic``; None for no limit.
    """

    def __init__(
        self, runs: Sequence[Run], site: Site, recorded: int = 0, jobs: int = 1, deadline: float | None = None
    ) -> None:
        self.waiting = list(runs)
        self.site = site
        self.recorded = recorded
        self.jobs = jobs
        self.deadline = deadline
        self.active: list[Job] = []
        self.measured: list[tuple[str, dict[str, float]]] = []  # config name, seconds of both phases
        self.failed: list[Run] = []
        self.left: list[Run] = []

    def run(self) -> int:
        """Work until all is done, or the time is over, or a signal comes; leaves no child behind.

        Returns:
            The exit status: ``COMPLETE``, ``FAILED`` if a run failed, ``LEFT`` if some are left, or 128 + the number of
            the signal, SIGINT or SIGTERM.
        """
        total = self.recorded + len(self.waiting)
        self.bar = tqdm(total=total, initial=self.recorded, desc='suite', unit='run', dynamic_ncols=True, disable=None)
        with self.bar, _signals() as caught:
            try:
                while not caught and not self._over():
                    self._start()
                    if not self.active:
                        break
                    self._advance()
                    time.sleep(POLL_SECONDS)
            finally:
                self._stop()
            left = [*self.left, *self.waiting]
            if self.failed:
                self._say(f'Failed: {", ".join(map(str, self.failed))}. The same command tries again.')
            if left:
                self._say(f'Left: {", ".join(map(str, left))}. The same command goes on with them.')
        if caught:
            return 128 + caught[0]
        return FAILED if self.failed else LEFT if left else COMPLETE

    def _start(self) -> None:
        """Fill the free places."""
        while len(self.active) < self.jobs and self.waiting:
            run = self.waiting.pop(0)
            expected = self.expected(run)
            if self.deadline is not None and time.monotonic() + expected > self.deadline:
                self.left.append(run)
                self._say(f'{run}: not started, it takes about {_minutes(expected)}, which the time left does not hold')
                continue
            try:
                self.active.append(Job(run, self.site))
            except BusyError as error:
                self.left.append(run)
                self._say(f'{run}: not started, {error}')

    def _advance(self) -> None:
        for job in list(self.active):
            before = job.child
            try:
                complete = job.advance()
            except FailedError as error:
                self._end(job)
                self.failed.append(job.run)
                self._say(f'{job.run}: {error}')
                continue
            if complete:
                self._end(job)
                seconds = {phase: job.state[phase]['wall_seconds'] for phase in (TRAIN, EVALUATE)}
                self.measured.append((job.run.name, seconds))
                self.recorded += 1
                self.bar.update()
                self._say(f'{job.run}: recorded ({self._outlook(sum(seconds.values()))})')
            elif job.child is not before:
                self._say(f'{job.run}: {job.describe()}')
        self.bar.set_postfix_str(f'{len(self.active)} running' + self._time_left())

    def _stop(self) -> None:
        """End the running children; their runs are left."""
        if not self.active:
            return
        self._say(f'Stopping {", ".join(str(job.run) for job in self.active)}')
        stop(job.child for job in self.active if job.child is not None)
        for job in list(self.active):
            job.settle()
            self._end(job)
            self.left.append(job.run)

    def _end(self, job: Job) -> None:
        job.close()
        self.active.remove(job)

    def _over(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def expected(self, run: Run) -> float:
        """Seconds that a run takes by the mean of the finished ones, of the same config if there are any; else 0."""
        own = [seconds for name, seconds in self.measured if name == run.name]
        finished = own or [seconds for _, seconds in self.measured]
        if not finished:
            return 0.0
        state = read_state(self.site.work_dir / run.folder)
        phases = (EVALUATE,) if state['trained'] or run.epochs == 0 else (TRAIN, EVALUATE)
        return sum(fmean(seconds[phase] for seconds in finished) for phase in phases)

    def _outlook(self, seconds: float) -> str:
        half = sum(self.expected(job.run) for job in self.active) / 2  # the others are half done, on average
        remaining = (sum(map(self.expected, self.waiting)) + half) / self.jobs
        more = f', about {_minutes(remaining)} left' if remaining else ''
        return f'took {_minutes(seconds)}; {self.recorded} of {self.bar.total}{more}'

    def _time_left(self) -> str:
        return '' if self.deadline is None else f', stops in {_minutes(max(0.0, self.deadline - time.monotonic()))}'

    def _say(self, text: str) -> None:
        self.bar.write(text)
        sys.stdout.flush()


@contextmanager
def _signals() -> Iterator[list[int]]:
    """Collects the numbers of SIGINT and SIGTERM; the signals have no other effect meanwhile."""
    caught: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        caught.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _minutes(seconds: float) -> str:
    return f'{seconds:.0f} s' if seconds < 100 else f'{seconds / 60:.0f} min'
