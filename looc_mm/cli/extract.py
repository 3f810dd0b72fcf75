"""Write the features of every image of a folder to a file."""

import os
from collections.abc import Sequence
from pathlib import Path

from .arguments import Plugins


def extract(
    checkpoint: str | Path,
    folder: str | Path,
    out: str | Path,
    *,
    spaces: Sequence[str] | None = None,
    size: int | None = None,
    batch_size: int = 64,
    workers: int = min(4, os.cpu_count() or 1),
    device: str | None = None,
    amp: bool = False,
    trust_checkpoint: bool = False,
    plugin: Plugins = (),
) -> None:
    """Write the features of every image of a folder to a file.

    For example::

        looc extract runs/photos data/photos features.npz
        looc extract runs/photos data/photos features.parquet --spaces V all

    ``looc_mm.export.get_features`` gives the features of one representation as an array.

    Args:
        checkpoint: as "looc train" writes it, or its work dir
        folder: folder of images, of any depth, or a list, a .txt or .csv file with one path a line
        out: features.npz, or features.parquet (pip install pyarrow): `path`, and each representation
        spaces: an array or column for each of these: "V" (the default), a space, spaces joined by "+" (their
            concatenation), or "all" (each space)
        size: side of the view in pixels; default: the training's
        batch_size: images at a time
        workers: decoding processes
        device: default: a GPU if there is one, else cpu
        amp: mixed precision
        trust_checkpoint: allow the checkpoint to run code on loading
        plugin: import this file, which registers classes: augmentations, models, ...; may be given more than once

    Raises:
        ValueError: The file has another ending, a space is unknown, or an image cannot be decoded.
        FileNotFoundError: The checkpoint, the folder or a plug-in does not exist.
    """
    from looc_mm import export
    from looc_mm.datasets.list_file import is_list
    from looc_mm.models.representation import resolve_spaces
    from looc_mm.multichannel import channels_of
    from looc_mm.plugins import load_files

    export.check_table(out)
    load_files(plugin)
    model = export.load_model(checkpoint, trust_checkpoint)
    chosen = resolve_spaces(model, spaces)
    images = export.list_images(folder, channels_of(model))
    device = device or export.default_device()
    source = export.picture_source(model, images, size, batch_size, device, workers, amp)
    found = source.feature_set('images').to('cpu')
    parts = {name: found.select(names).x for name, names in chosen.items()}
    root = os.path.expanduser(folder)
    root = os.path.dirname(root) if is_list(root) else root
    export.write_features(out, [os.path.relpath(path, root) for path in images], parts)
    widths = ', '.join(f'{name} ({values.shape[1]})' for name, values in parts.items())
    print(f'{len(images)} images, {widths}: {out}')
