"""A checkpoint without what only a training needs."""

from pathlib import Path
from typing import Any

import torch

from looc_mm.checkpoint import build_model, find_checkpoint, load_weights, read_checkpoint
from looc_mm.files import atomic_write
from looc_mm.models.representation import representation_state


def export_weights(checkpoint: str | Path, out: str | Path, trust: bool = False) -> dict[str, Any]:
    """Write a checkpoint with the weights that V and the spaces come from, and with its training config.

    The key encoder, the queues and the state of the optimizer are left out. :func:`looc_mm.checkpoint.load_model` reads
    the file, so evaluation, extraction and export give the same features; a training cannot be resumed from it.

    Args:
        checkpoint: A file, or a work dir, whose last checkpoint is taken.
        out: ``.pth``.
        trust: Whether the file may run code; see :func:`looc_mm.checkpoint.read_checkpoint`.

    Returns:
        ``before`` and ``after``, the sizes of the two files in bytes.

    Raises:
        FileNotFoundError: No such file.
        ValueError: The file cannot be read, holds no config, or not the weights of its model.
    """
    if Path(out).suffix != '.pth':
        raise ValueError(f'A checkpoint goes to a file *.pth, got {str(out)!r}.')
    path = find_checkpoint(checkpoint)
    read = read_checkpoint(path, trust)
    model = build_model(read)
    load_weights(model, read)  # its error names a weight that the file lacks
    needed = representation_state(model)
    # Copies, because a file holds the whole storage of a tensor that is a part of it.
    weights = {name: value.clone() for name, value in read.state_dict.items() if name in needed}
    with atomic_write(out) as part:
        torch.save({'state_dict': weights, 'meta': read.meta}, part)
    return {'before': path.stat().st_size, 'after': Path(out).stat().st_size}
