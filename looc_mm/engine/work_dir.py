"""A work dir belongs to one training: it is not begun a second time, and not used by two at once."""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from looc_mm.files import last_checkpoint

#: The variable with the number of a process, by launcher.
RANKS = {'pytorch': 'RANK', 'slurm': 'SLURM_PROCID', 'mpi': 'OMPI_COMM_WORLD_RANK'}


def refuse_used(work_dir: str | Path, resume: bool, overwrite: bool) -> None:
    """Refuse to begin a training where its checkpoints would replace those of another one.

    Args:
        work_dir: The folder of the training.
        resume: Whether the training goes on from a checkpoint.
        overwrite: Whether checkpoints may be replaced.

    Raises:
        ValueError: The folder holds a checkpoint, and neither is true.
    """
    found = None if resume or overwrite else last_checkpoint(Path(work_dir))
    if found is not None:
        raise ValueError(
            f'{work_dir} already holds checkpoints of a training, the last one {found.name}; this training would start '
            f'at step 0 and overwrite them. Continue that training with --resume, give another --work-dir, or start '
            f'from the beginning with --overwrite, which replaces files of the same name and removes no others.'
        )


@contextmanager
def lock_work_dir(work_dir: str | Path, launcher: str) -> Iterator[str | None]:
    """Keep other trainings out of a work dir until the block ends, or the process does.

    The main process of a training locks the file ``.lock``, which names its host and process id and stays behind. The
    lock is one of ``fcntl.lockf``: the workers that load pictures do not inherit it, so that a training that was killed
    can be resumed at once.

    Args:
        work_dir: The folder of the training; it is made.
        launcher: How the processes of the training were started.

    Yields:
        A warning if the file system has no locks; None if the folder is locked.

    Raises:
        ValueError: Another training has locked the folder.
    """
    if int(os.environ.get(RANKS.get(launcher, ''), 0)) > 0:
        yield None
        return
    path = Path(work_dir, '.lock')
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('a+') as file:
        warning = None
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                file.seek(0)
                raise ValueError(
                    f'{work_dir} is in use by another training: {file.read().strip() or "its process is not known"}. '
                    f'Two trainings would replace the checkpoints of each other. Wait until the other one has ended, '
                    f'or give another --work-dir.'
                ) from None
            warning = f'{work_dir} cannot be locked ({error.strerror}): start no second training in this folder.'
        file.truncate(0)
        file.write(f'process {os.getpid()} on {socket.gethostname()}\n')
        file.flush()
        yield warning
