"""Stylise every picture of a folder by paintings, for StylizedTexture to choose from."""

import os
import sys
from pathlib import Path

from .arguments import UsageError

WARNING = """
********************************************************************************
**  RANDOM WEIGHTS: these pictures are NO stylisations. Good for trying the   **
**  tools out, not for training; give --vgg and --decoder for that.           **
********************************************************************************
"""


def stylize(
    source: Path,
    styles: Path,
    out: Path,
    *,
    vgg: Path | None = None,
    decoder: Path | None = None,
    random_weights: bool = False,
    styles_per_image: int = 4,
    alpha: float = 1.0,
    size: int = 256,
    seed: int = 0,
    workers: int = min(4, os.cpu_count() or 1),
    device: str | None = None,
    batch_size: int = 16,
) -> int:
    """Write stylised versions of every picture, <stem>-stylized-<painting>.jpg in the same tree.

    For example::

        looc stylize data/imagenet/train paintings data/stylized/train --vgg vgg_normalised.pth --decoder decoder.pth

    Started again, it makes what is missing.

    Args:
        source: folder of pictures, of any depth
        styles: folder of paintings
        out: folder to write
        vgg: pytorch-AdaIN's vgg_normalised.pth
        decoder: pytorch-AdaIN's decoder.pth
        random_weights: no weights: trying the tools out
        styles_per_image: versions of each picture
        alpha: share of the style, 0 to 1
        size: short side in pixels
        seed: of the draw of styles
        workers: decoding processes
        device: default: cuda if there is a GPU, else cpu
        batch_size: versions at a time

    Returns:
        The exit status, 1 if a picture is broken.

    Raises:
        ValueError: An argument is out of its range, or the folder was made with other settings.
        FileNotFoundError: A file of weights does not exist.
    """
    files = [vgg, decoder]
    if not (files == [None, None] if random_weights else all(files)):
        raise UsageError('give both --vgg and --decoder, or --random-weights alone')
    import torch

    from looc_mm.stylization import Settings, Stylizer, digest, stylize_tree

    weights = [Path(file) for file in files if file is not None]
    made_with = digest(file.read_bytes() for file in weights) if weights else 'random'
    settings = Settings(made_with, styles_per_image, alpha, size, seed)
    stylizer = Stylizer(*weights).to(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    print(WARNING * random_weights, end='', file=sys.stderr)
    report = stylize_tree(stylizer, Path(source), Path(styles), Path(out), settings, workers, batch_size)
    status = report.show(
        f'{report.made} pictures stylised in {styles_per_image} ways, {report.finished} were finished before, '
        f'{len(report.broken)} are broken: {out}'
    )
    print(WARNING * random_weights, end='', file=sys.stderr)
    return status
