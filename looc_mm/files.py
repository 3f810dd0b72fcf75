"""Files that appear at once and whole, checksums, locks for several writers, and the last checkpoint of a run."""

import errno
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

CHECKSUM = 'checksum'  # the key in a JSON file


@contextmanager
def atomic_write(
    path: str | Path, *, single_writer: bool = False, sync: bool = False, needs: Callable[[], int] | None = None
) -> Iterator[Path]:
    """A file to write, which replaces ``path`` when the block ends and is removed when the block raises.

    A process that is killed leaves ``path`` as it was, and a hidden file beside it whose name ends with ``.part``.

    Args:
        path: The file; its folder is made.
        single_writer: No other process writes this path. Then the part has one name, and the next write replaces the
            part that a killed process left. By default each writer has a part of its own, and the last writer wins.
        sync: Wait until the content is on the disk before the file gets its name, so that a power failure leaves no
            empty file under that name.
        needs: How many bytes the file needs, for the message if the disk is full.

    Raises:
        OSError: The file cannot be written; of a full disk the message has the folder and the bytes.
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
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        needed = f'{needs():,} bytes' if needs else 'more bytes'
        free = shutil.disk_usage(path.parent).free
        raise OSError(
            error.errno,
            f'The disk or quota of {path.parent} is full: {path.name} needs {needed}, and {free:,} are free on the '
            f'disk. What was there is unchanged. Free some space, or choose another folder',
        ) from error
    finally:
        part.unlink(missing_ok=True)


def with_checksum(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a JSON file and its SHA-256, which ``read_checked`` compares."""
    return {**content, CHECKSUM: _digest(content)}


def read_checked(path: Path) -> dict[str, Any]:
    """The content of a JSON file that was written ``with_checksum``, without the checksum.

    Raises:
        OSError: The file cannot be opened.
        ValueError: The file is damaged, or has no checksum. The message has no remedy.
    """
    try:
        content = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path} is damaged: it is no JSON ({error})') from error
    if not isinstance(content, dict) or CHECKSUM not in content:
        raise ValueError(f'{path} is damaged or of an older version of looc_mm: it has no checksum')
    found = content.pop(CHECKSUM)
    if found != _digest(content):
        raise ValueError(f'{path} is damaged: its content differs from its checksum')
    return content


def _digest(content: Mapping[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


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
