"""One run on its way: the training, each evaluation, the record.

Below the run's folder:

    suite/state.json    what is done, and the time of every attempt
    suite/lock          held while a suite works on the run
    suite/*.py          the configs as built: a file that is edited meanwhile changes nothing
    suite/*.log         what the training and the evaluations printed
    epoch_*.pth ...     of tools/train.py
    <evaluation>_<hash> of tools/test.py, with results.json
"""

import fcntl
import json
import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from looc_mm.files import atomic_write, last_checkpoint
from looc_mm.results import newest, read_results

from .plan import Evaluation, Run
from .process import Child
from .records import collect_metrics, record_path, write_record

TRAIN, EVALUATE = 'train', 'evaluate'


class FailedError(RuntimeError):
    """A run cannot go on; the message has the reason and the end of the log."""


class BusyError(RuntimeError):
    """Another process works on the run."""


@dataclass(frozen=True)
class Site:
    """What all runs of a suite share.

    Attributes:
        tools: Folder of ``train.py`` and ``test.py``.
        work_dir: Where the runs have their folders.
        records: Where the records go.
        environment: Variables for the children.
        about: For every record: device, threads, jobs, versions.
        configs: For the records of a config, by its name: method and data.
    """

    tools: Path
    work_dir: Path
    records: Path
    environment: dict[str, str]
    about: dict[str, Any]
    configs: dict[str, dict[str, Any]]


class Job:
    """A run, carried out step by step; each step is a child process.

    Args:
        run: What to do.
        site: Where.

    Attributes:
        child: The running step, None before the first and after the last one.

    Raises:
        BusyError: Another process works on the run.
    """

    def __init__(self, run: Run, site: Site) -> None:
        self.run = run
        self.site = site
        self.folder = site.work_dir.resolve() / run.folder
        self.notes = self.folder / 'suite'
        self.notes.mkdir(parents=True, exist_ok=True)
        self._lock = (self.notes / 'lock').open('w')
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise BusyError(f'another process works on it, in {self.folder}') from error
        self.state = read_state(self.folder)
        if self.state['running']:
            self._count(self.state['running'], unmeasured=1)
        self.child: Child | None = None
        self._step: Evaluation | None = None  # that the child runs; None for the training

    def advance(self) -> bool:
        """Look after the running step, or start the next one.

        Returns:
            Whether the run is complete and recorded.

        Raises:
            FailedError: A step failed.
        """
        if self.child is not None:
            if self.child.poll() is None:
                return False
            child = self.child
            self.settle()
            if child.code:
                raise FailedError(
                    f'{self.describe()} {_ending(child.code)}. The end of {child.log}:\n{child.last_lines()}'
                )
            self._complete(child)
        if record_path(self.site.records, self.run).exists():  # of another suite
            return True
        evaluation = next((each for each in self.run.evaluations if not self._is_done(each)), None)
        if evaluation is None:
            self._record()
            return True
        if self.run.epochs == 0 or (self.state['trained'] and last_checkpoint(self.folder)):
            self._evaluate(evaluation)
        else:
            self._train()
        return False

    def settle(self) -> None:
        """Enter the time of a child that has ended."""
        child, self.child = self.child, None
        if child is not None:
            self._count(self._phase, cpu_seconds=child.cpu_seconds, wall_seconds=child.wall_seconds)

    def close(self) -> None:
        """Let other suites work on the run."""
        self._lock.close()

    def describe(self) -> str:
        """The running step, for the user."""
        return 'training' if self._step is None else f'evaluation {self._step.name}'

    @property
    def _phase(self) -> str:
        return TRAIN if self._step is None else EVALUATE

    def _train(self) -> None:
        self._step = None
        changes = self.run.changes
        command = ['train.py', self._dump(self.run.config, self.run.name), '--work-dir', str(self.folder)]
        command += ['--seed', str(self.run.seed)]
        if (checkpoint := last_checkpoint(self.folder)) is not None:
            command += ['--resume', str(checkpoint)]
        if changes.amp:
            command.append('--amp')
        if changes.canvases:
            command += ['--canvases', changes.canvases]
        self._start(command, 'train.log')

    def _evaluate(self, evaluation: Evaluation) -> None:
        self._step = evaluation
        source = self._dump(self.run.config, self.run.name)  # for random weights
        if self.run.epochs != 0:
            source = str(last_checkpoint(self.folder))
        command = ['test.py', self._dump(evaluation.config, evaluation.name), source, '--seed', str(self.run.seed)]
        command += ['--work-dir', str(self._results(evaluation).parent), '--cache', str(self.folder / 'features')]
        self._start(command, f'{evaluation.name}.log')

    def _start(self, command: list[str], log: str) -> None:
        self.state['running'] = self._phase
        self._save()
        plugins = [word for path in self.run.changes.plugins for word in ('--plugin', path)]
        command = [sys.executable, str(self.site.tools / command[0]), *command[1:], *plugins]
        self.child = Child(command, self.notes / log, self.site.environment)

    def _complete(self, child: Child) -> None:
        """Note that a step has done its work.

        Raises:
            FailedError: It has left nothing.
        """
        if self._step is None:
            if last_checkpoint(self.folder) is None:
                raise FailedError(f'training left no checkpoint: its config needs a checkpoint hook. See {child.log}')
            self.state['trained'] = True
        else:
            if not self._results(self._step).exists():
                raise FailedError(f'evaluation {self._step.name} left no results.json. See {child.log}')
            self.state['evaluated'].append(self._step.key)
        self._save()

    def _record(self) -> None:
        results = [(each.name, newest(read_results(self._results(each)))) for each in self.run.evaluations]
        metrics, ci = collect_metrics(results)
        record = {
            'key': self.run.key,
            'config': self.run.path,
            'config_key': self.run.config_key,
            'changes': self.run.changes.described(),
            'seed': self.run.seed,
            'epochs': self.run.epochs,
            **self.site.configs[self.run.name],
            'evaluations': [each.path for each in self.run.evaluations],
            TRAIN: self.state[TRAIN],
            EVALUATE: self.state[EVALUATE],
            **self.site.about,
            'metrics': metrics,
            'ci': ci,
        }
        write_record(self.site.records, self.run, record)
        shutil.rmtree(self.folder / 'features', ignore_errors=True)  # gigabytes, which serve these evaluations alone

    def _is_done(self, evaluation: Evaluation) -> bool:
        return evaluation.key in self.state['evaluated'] and self._results(evaluation).exists()

    def _results(self, evaluation: Evaluation) -> Path:
        return self.folder / f'{evaluation.name}_{evaluation.key[:8]}' / 'results.json'

    def _dump(self, config: Config, name: str) -> str:
        path = self.notes / f'{name}.py'
        with atomic_write(path) as part:
            part.write_text(config.pretty_text)
        return str(path)

    def _count(self, phase: str, **spent: float) -> None:
        times = self.state[phase]
        for name, more in spent.items():
            times[name] = round(times.get(name, 0) + more, 2)
        self.state['running'] = None
        self._save()

    def _save(self) -> None:
        with atomic_write(self.notes / 'state.json') as part:
            part.write_text(json.dumps(self.state, indent=1) + '\n')


def read_state(folder: Path) -> dict[str, Any]:
    """What is known of the run in a folder: ``trained``, ``evaluated``, ``running``, and the time of both phases."""
    path = folder / 'suite' / 'state.json'
    if path.exists():
        return json.loads(path.read_text())
    times = {phase: {'cpu_seconds': 0.0, 'wall_seconds': 0.0} for phase in (TRAIN, EVALUATE)}
    return {'trained': False, 'evaluated': [], 'running': None, **times}


def _ending(code: int) -> str:
    if code > 0:
        return f'failed with status {code}'
    return f'was ended by {signal.Signals(-code).name}' + (' (is there enough memory?)' if code == -9 else '')
