"""Files that cannot be written end no evaluation: the values are printed, and a warning names what is missing."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.logging import print_log


@contextmanager
def warn_unwritable(what: str) -> Iterator[None]:
    """A block that writes files and nothing else; if the disk refuses, it ends with a warning.

    Args:
        what: What is not written then, as the beginning of the warning.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:  # torch.save raises RuntimeError
        _warn(f'{what} cannot be written: {error}. The evaluation goes on without.')


def writable_folder(folder: str | Path) -> Path:
    """The folder itself, made if need be, or a temporary one with a warning if files cannot be written into it.

    Args:
        folder: For logs and results.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b'.')
        return folder
    except OSError as error:
        other = Path(tempfile.mkdtemp(prefix='looc_'))
        _warn(f'The folder {folder} cannot be written: {error}. Logs and results go to {other}; move them from there.')
        return other


def _warn(text: str) -> None:
    print_log(text, logger='current', level=logging.WARNING)
