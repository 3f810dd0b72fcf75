"""What a part of ``benchmarks/gpu.py`` is given, and where its figures go."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar

from common import DEVICE, machine

from looc_mm.files import atomic_write

ROOT = Path(__file__).parents[2]
T = TypeVar('T')


@dataclass
class Job:
    """One part on one machine.

    Attributes:
        part: Its name.
        out: Folder of the results; at most six files.
        scratch: Folder of everything else.
        data: Folder that holds ``imagenette`` and ``flowers5``, or their zips.
        dry: Whether to run at a tiny size.
        seconds: What the part may take, from ``begin`` on.
        options: Further arguments of the command line.
    """

    part: str
    out: Path
    scratch: Path
    data: Path | None
    dry: bool
    seconds: float
    options: Sequence[str] = ()
    begin: float = field(default_factory=time.monotonic)

    def left(self) -> float:
        """Seconds until the part has to end."""
        return self.begin + self.seconds - time.monotonic()

    def keep(self, **figures: Any) -> None:
        """Write figures of this part to ``results.json``; what was kept before stays."""
        file = self.out / 'results.json'
        results = read_results(self.out)
        about = {'device': machine('torchvision', 'mmengine', 'mmpretrain'), 'gpu': DEVICE.type == 'cuda'}
        results[self.part] = results.get(self.part, {}) | about | {'dry': self.dry} | figures
        with atomic_write(file) as part:
            part.write_text(json.dumps(results, indent=1) + '\n')

    def kept(self) -> dict[str, Any]:
        """This part's figures so far."""
        return read_results(self.out).get(self.part, {})

    def once(self, name: str, measure: Callable[[], T]) -> T:
        """A figure that was kept under this name, or else the measured one, which is then kept."""
        if name not in self.kept():
            self.keep(**{name: measure()})
        return self.kept()[name]

    def python(self, script: str, *arguments: object, **environment: str) -> None:
        """Run a script of the repository.

        Raises:
            RuntimeError: If it fails or does not end in time; the text has the end of what it printed.
        """
        call([sys.executable, str(ROOT / script), *map(str, arguments)], self.left(), environment)

    def benchmark(self, name: str, *arguments: object) -> dict[str, Any]:
        """What another benchmark measures: its rows and ratios."""
        file = self.scratch / f'{name}.json'
        self.python(f'benchmarks/{name}.py', *arguments, '--json', file)
        return json.loads(file.read_text())

    def folder_of(self, name: str) -> Path | None:
        """The folder ``<name>/{train,val}/<class>/``, unpacked if ``data`` holds its zip; None if neither is there."""
        if self.data is None:
            return None
        if (self.data / name).is_dir():
            return self.data / name
        target = self.scratch / 'data'
        if not (target / name).is_dir():
            archives = sorted(self.data.glob(f'{name}*.zip'))
            if not archives:
                return None
            with zipfile.ZipFile(archives[0]) as archive:
                archive.extractall(target)
        return target / name


def read_results(out: Path) -> dict[str, Any]:
    """``results.json`` of a folder, by part; empty where there is none."""
    file = out / 'results.json'
    return json.loads(file.read_text()) if file.exists() else {}


def call(
    command: Sequence[str], seconds: float, environment: dict[str, str] | None = None, log: IO[str] | None = None
) -> str:
    """Run a command with all that it starts, from the repository's root.

    Args:
        command: Program and arguments.
        seconds: After which it is killed.
        environment: Changes of the environment.
        log: Gets what the command prints, while it runs.

    Returns:
        What it printed, if there is no log.

    Raises:
        RuntimeError: If it fails, or has not ended after so many seconds and was killed.
    """
    path = f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'.rstrip(os.pathsep)
    environment = {**os.environ, 'PYTHONPATH': path, **(environment or {})}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        text=True,
        stdout=log or subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as child:
        try:
            printed, _ = child.communicate(timeout=max(seconds, 0.1))
        except BaseException as error:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            printed, _ = child.communicate()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise RuntimeError(f'{_name(command)} did not end within {seconds:.0f} s\n{_end(printed)}') from None
    if child.returncode:
        raise RuntimeError(f'{_name(command)} ended with {child.returncode}\n{_end(printed)}')
    return printed or ''


def _end(printed: str | None) -> str:
    return (printed or '')[-3000:]


def _name(command: Sequence[str]) -> str:
    return ' '.join(Path(word).name if os.sep in word else word for word in command[1:4])
