"""Check that a dataset is whole: layout, numbers of images and classes, and whether the images can be decoded."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import Plugins

if TYPE_CHECKING:
    from looc_mm.datasets import Part

SHOWN = 10  # broken images to name


def check_dataset(
    name: str,
    root: Path,
    *,
    sample: int = 100,
    all: bool = False,
    seed: int = 0,
    workers: int = min(8, os.cpu_count() or 1),
    plugin: Plugins = (),
) -> int:
    """Check that a dataset is whole, and print what is wrong.

    For example::

        looc check-dataset cub data/CUB_200_2011
        looc check-dataset in100 data/imagenet --all  # decode every image, not a sample

    docs/datasets.md has the layouts.

    Args:
        name: cub, flowers102, imagenet-c, in100, inat2019 or objectnet; a class of a plug-in; folder: pictures of your
            own, in train/ and val/ if labelled
        root: where it is
        sample: images to decode of each part
        all: decode every image
        seed: of the sample
        workers: decoding threads
        plugin: import this file, which registers classes: augmentations, models, ...; may be given more than once

    Returns:
        The exit status, 1 if something is wrong.
    """
    import cv2
    from mmengine.registry import init_default_scope

    from looc_mm.datasets.whole import differences, parts_of
    from looc_mm.plugins import load_files

    load_files(plugin)
    init_default_scope('looc_mm')
    cv2.setNumThreads(0)  # the images are the parallel part
    root = Path(root)
    number = None if all else sample
    problems: list[str] = []
    for split, (config, part) in parts_of(name, root).items():
        problems += check(split, config, part, number, seed, workers)
    problems += differences(name, root)
    for problem in problems:
        print(f'Wrong: {problem}', file=sys.stderr)
    if not problems:
        print(f'{name} in {root} is whole; decoded were {"all" if all else sample} images a part')
    return 1 if problems else 0


def broken(path: str) -> str | None:
    """What is wrong with an image, if anything."""
    import cv2
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()  # unlike OpenCV, Pillow refuses a file that was cut short
        if cv2.imread(path) is None:
            return f'{path}: OpenCV cannot decode it'
    except Exception as error:  # of any kind: decoders are many
        return f'{path}: {error}'
    return None


def check(
    split: str, config: dict[str, Any], part: 'Part', sample: int | None, seed: int, workers: int
) -> Iterator[str]:
    """Print a part's numbers; yields what is wrong with it. ``sample`` is None to decode every image."""
    from multiprocessing.pool import ThreadPool

    import numpy as np
    from tqdm import tqdm

    from looc_mm.registry import DATASETS

    try:
        dataset = DATASETS.build(config)
    except (OSError, ValueError) as error:
        print(f'{split:>22}  cannot be read')
        yield f'{split}: {error}'
        return
    samples = [dataset.get_data_info(row) for row in range(len(dataset))]
    paths = [sample['img_path'] for sample in samples]
    labels = {sample['gt_label'] for sample in samples if 'gt_label' in sample}
    numbers = [('images', len(paths), part.images), ('classes', len(labels), part.classes)]
    shown = (f'{found:>8,} {what}' + (f' of {known:,}' if known else '') for what, found, known in numbers)
    print(f'{split:>22}', *shown)
    for what, found, known in numbers:
        if known and found != known:
            yield f'{split}: {found:,} {what}, published are {known:,}'

    if sample is not None:
        rng = np.random.default_rng(seed)
        paths = [paths[row] for row in sorted(rng.permutation(len(paths))[:sample])]
    with ThreadPool(workers) as pool:
        bar = tqdm(pool.imap(broken, paths, chunksize=8), 'decode', len(paths), leave=False, disable=None)
        problems = [problem for problem in bar if problem]
    yield from (f'{split}: {problem}' for problem in problems[:SHOWN])
    if len(problems) > SHOWN:
        yield f'{split}: {len(problems)} broken images in all, of {len(paths)} decoded'
