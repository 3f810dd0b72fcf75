"""From a plan to its records."""

import time
from collections.abc import Sequence
from pathlib import Path

from .job import Site
from .plan import Run
from .records import read_records
from .schedule import COMPLETE, Suite


def run_plan(
    runs: Sequence[Run], records: Path, work_dir: Path, tools: Path, jobs: int = 1, minutes: float | None = None
) -> int:
    """Carry out what is not recorded yet.

    Args:
        runs: Of one plan.
        records: Folder of the records.
        work_dir: Folder of checkpoints, logs and results.
        tools: Folder of ``train.py`` and ``test.py``.
        jobs: How many run side by side.
        minutes: For everything, from now on.

    Returns:
        The exit status, see :meth:`looc_mm.suite.schedule.Suite.run`.

    Raises:
        ValueError: A number is out of its range, a run cannot be built, or a file among the records is none.
    """
    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    if jobs < 1:
        raise ValueError(f'--jobs is at least 1, got {jobs}.')
    if minutes is not None and minutes <= 0:
        raise ValueError(f'--minutes is more than 0, got {minutes:g}.')
    recorded = {record['key'] for record in read_records(records)}
    waiting = [run for run in runs if run.key not in recorded]
    print(f'{len(runs)} runs, {len(runs) - len(waiting)} of them recorded in {records}', flush=True)
    if not waiting:
        return COMPLETE

    # PyTorch and MMPreTrain take ten seconds to import: only when there is something to do.
    from looc_mm.machine import device_name, threads, versions

    from .check import check

    configs = check(waiting)
    count = threads(jobs)
    site = Site(
        tools=tools,
        work_dir=work_dir,
        records=records,
        environment={'OMP_NUM_THREADS': str(count)},
        about={'device': device_name(), 'threads': count, 'jobs': jobs, 'versions': versions()},
        configs=configs,
    )
    return Suite(waiting, site, len(runs) - len(waiting), jobs, deadline).run()
