"""Files that appear at once and whole, locks for several writers, and the last checkpoint of a run."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def atomic_write(path: str | Path, *, single_writer: bool = False, sync: bool = False) -> Iterator[Path]:
    """A file to write, which replaces ``path`` when the block ends and is removed when the block raises.

    A process that is killed leaves ``path`` as it was, and a hidden file beside it whose name ends with ``.part``.

    Args:
        path: The file; its folder is made.
        single_writer: No other process writes this path. Then the part has one name, and the next write replaces the
            part that a killed process left. By default each writer has a part of its own, and the last writer wins.
        sync: Wait until the content is on the disk before the file gets its name, so that a power failure leaves no
            empty file under that name.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}{"" if single_writer else f".{uuid4().hex}"}.part')
    try:
        yield part
        if sync:
            with part.open('rb+') as file:
                os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def locked(path: str | Path) -> Iterator[None]:
    """Keep other processes that lock the same file waiting until the block ends, or the process does.

    Args:
        path: The file, which need not exist. The lock is a hidden file beside it, which stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f'.{path.name}.lock').open('a') as file:
        if sys.platform == 'win32':
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint in the work dir of a training; None before the first one.

    The file ``last_checkpoint`` holds the path at the time of the training. Only the name counts, so that a moved or
    copied run goes on from its own file. Without this file, or if its checkpoint is gone, the checkpoint of the highest
    number is the newest.
    """
    pointer = folder / 'last_checkpoint'
    if pointer.exists() and (path := folder / Path(pointer.read_text().strip()).name).exists():
        return path
    return next(iter(numbered_checkpoints(folder)), None)


def numbered_checkpoints(folder: Path) -> list[Path]:
    """The files ``epoch_N.pth`` and ``iter_N.pth`` of a work dir, the highest number first."""
    numbered = {path: re.fullmatch(r'(?:epoch|iter)_(\d+)', path.stem) for path in folder.glob('*.pth')}
    found = [(int(match[1]), path) for path, match in numbered.items() if match]
    return [path for _, path in sorted(found, reverse=True)]


def folder_name(folder: Path) -> str:
    """A name for the pictures: the folder's, or its parent's for ``train``; a list's without its ending."""
    if folder.suffix.lower() in ('.txt', '.csv') and not folder.is_dir():
        return folder.stem
    return folder.parent.name if folder.name == 'train' and folder.parent.name else folder.name
