"""Choose V or a combination of V and the spaces for a task, and write it as a file."""

from pathlib import Path
from typing import Literal

from .arguments import Plugins


def fit(
    checkpoint: str | Path,
    labelled: str | Path,
    *,
    shots: int | None = None,
    classifier: bool = False,
    format: Literal['onnx', 'safetensors'] = 'onnx',
    out: str | Path | None = None,
    size: int | None = None,
    group: str | None = None,
    seed: int = 0,
    batch_size: int = 64,
    workers: int = 0,
    device: str | None = None,
    trust_checkpoint: bool = False,
    plugin: Plugins = (),
) -> None:
    """Choose V or a combination of V and the spaces for a task, and write it as a file.

    For example::

        looc fit runs/photos data/labelled              # <class>/ or {train,val}/<class>/
        looc fit runs/photos data/labelled --shots 10 --classifier

    The last line is the choice. If nothing beats V beyond the 95 % interval, it is V. docs/fit.md explains the table.

    Args:
        checkpoint: as "looc train" writes it, or its work dir
        labelled: folder of labelled pictures; a folder val is held out, else each fifth of the pictures in turn
        shots: fit on this many training pictures of each class, drawn from all; at least 2
        classifier: write the logits of the classes too
        format: onnx: the network (pip install onnx onnxscript onnxruntime); safetensors: the projection and the
            classifier alone (pip install safetensors)
        out: folder of the results; default: <run>/fit_<folder>
        size: side of the views in pixels; default: the training's
        group: a regex whose first group names the object in the path of a picture; pictures of one object stay on one
            side of a split
        seed: random seed
        batch_size: pictures at a time
        workers: decoding processes
        device: default: a GPU if there is one, else cpu
        trust_checkpoint: allow the checkpoint to run code on loading
        plugin: import this file, which registers classes: augmentations, models, ...; may be given more than once

    Raises:
        ValueError: The checkpoint, the folder or an option does not fit.
        FileNotFoundError: The checkpoint, the folder or a plug-in does not exist.
    """
    from looc_mm.fit import fit as fit_representation
    from looc_mm.plugins import load_files

    load_files(plugin)
    found, file = fit_representation(
        checkpoint,
        labelled,
        out,
        shots=shots,
        classifier=classifier,
        format=format,
        size=size,
        group=group,
        seed=seed,
        batch_size=batch_size,
        workers=workers,
        device=device,
        trust_checkpoint=trust_checkpoint,
    )
    table, _, sentence = found.table().rpartition('\n')
    print(f'{table}\n{file.parent / "fit.json"}, {file}\n\n{sentence}')
