"""A folder that is written from a dataset's pictures, by a run that may be interrupted and started again."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from looc_mm.files import CHECKSUM, atomic_write, with_checksum

from .decoding import PictureError, decode
from .folder import ImageFolder
from .transforms import one_thread


@dataclass
class Report:
    """What became of one unit of work, or of all of them.

    Attributes:
        made: How many files (shards, pictures) this run wrote.
        finished: How many an earlier run had written.
        steps: How far the progress bar moves.
        broken: What is wrong with the pictures that were left out, by their path.
    """

    made: int = 0
    finished: int = 0
    steps: int = 0
    broken: dict[str, str] = field(default_factory=dict)

    def show(self, summary: str) -> int:
        """Print a summary and the broken pictures; returns the exit status, 1 if a picture is broken."""
        print(summary)
        for path, problem in self.broken.items():
            print(f'Broken: {path}: {problem}', file=sys.stderr)
        return 1 if self.broken else 0


class FolderJob:
    """Claims a folder for some settings and writes it in units of work, of which each skips what is finished.

    Args:
        out: The folder to write.
        note: Name of the JSON file in it that holds the settings.
        settings: What decides the content of the files.
        title: Of the progress bar, which counts pictures.

    Raises:
        ValueError: The folder was written with other settings: continuing would mix two. Or the file is damaged.
    """

    def __init__(self, out: Path, note: str, settings: dict[str, Any], title: str) -> None:
        path, settings = out / note, json.loads(json.dumps(settings))
        try:
            theirs = json.loads(path.read_text(encoding='utf-8')) if path.exists() else settings
        except ValueError as error:
            raise ValueError(f'{path} is damaged ({error}). Delete it if the settings are the same as then.') from error
        theirs.pop(CHECKSUM, None)
        if settings != theirs:
            changed = {key: (theirs.get(key), settings[key]) for key in settings if theirs.get(key) != settings[key]}
            raise ValueError(
                f'The pictures in {out} were made with other settings, (then, now): {changed}. Give the same, or '
                'another folder for the output.'
            )
        with atomic_write(path, single_writer=True) as part:
            part.write_text(json.dumps(with_checksum(settings), indent=1))
        self.title = title

    def run(self, make: Callable[[Any], Report], units: Sequence[Any], workers: int, total: int) -> Report:
        """Do all units of work, each in one of the worker processes.

        Args:
            make: Does one unit.
            units: All of them.
            workers: Processes; 0 works in this one.
            total: Steps of the progress bar.
        """
        work = _Units(make, units)
        return self.collect(DataLoader(work, batch_size=None, num_workers=workers, worker_init_fn=one_thread), total)

    def collect(self, reports: Iterable[Report], total: int) -> Report:
        """Add up the reports of units of work while they are done, and show a progress bar of ``total`` steps."""
        whole = Report()
        with tqdm(total=total, desc=self.title, unit='img') as bar:
            for each in reports:
                whole.made += each.made
                whole.finished += each.finished
                whole.steps += each.steps
                whole.broken |= each.broken
                for path, problem in each.broken.items():
                    bar.write(f'Skipped {path}: {problem}')
                bar.update(each.steps)
        return whole


class _Units(Dataset):
    """Item i is the report of the i-th unit of work."""

    def __init__(self, make: Callable[[Any], Report], units: Sequence[Any]) -> None:
        self.make, self.units = make, units

    def __len__(self) -> int:
        return len(self.units)

    def __getitem__(self, index: int) -> Report:
        return self.make(self.units[index])


def pictures_in(folder: Path) -> list[str]:
    """Paths of all pictures below a folder, relative to it and with slashes, sorted.

    Raises:
        FileNotFoundError: If the folder is not there or has no pictures.
    """
    samples = ImageFolder(str(folder), lazy_init=True).load_data_list()
    return sorted(Path(os.path.relpath(sample['img_path'], folder)).as_posix() for sample in samples)


def check_apart(source: Path, out: Path, done: str) -> None:
    """Refuse to write into the tree that is read.

    Raises:
        ValueError: If ``out`` is in ``source``, where pictures would be processed twice; ``done`` names the process.
    """
    if out.resolve().is_relative_to(source.resolve()):
        raise ValueError(f'{out} is in {source}, so that {done} pictures would be {done} again; choose another.')


def read(path: Path) -> np.ndarray | str:
    """A picture, (H, W, 3) uint8 BGR, or what is wrong with it."""
    try:
        return decode(str(path))
    except (PictureError, OSError) as error:
        return getattr(error, 'reason', str(error))


def write(path: Path, image: np.ndarray, flags: tuple[int, ...] = ()) -> None:
    """Write (H, W, 3) uint8 BGR in the format of the path's ending; the file's name appears when it is whole."""
    with atomic_write(path, single_writer=True) as part:
        part.write_bytes(cv2.imencode(path.suffix, image, flags)[1].tobytes())
