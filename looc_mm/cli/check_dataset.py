"""Check that a dataset is whole: layout, numbers of images and classes, and whether the images can be decoded."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .arguments import Plugins

if TYPE_CHECKING:
    from looc_mm.datasets import Part
    from looc_mm.datasets.folder import Listing

SHOWN = 10  # broken images to name, of each kind


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

    With --all it finds each picture that a training or an evaluation would refuse, and prints the number of transparent
    pictures, of files that are passed over, and of links that are not followed.

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


def check(
    split: str, config: dict[str, Any], part: 'Part', sample: int | None, seed: int, workers: int
) -> Iterator[str]:
    """Print a part's numbers; yields what is wrong with it. ``sample`` is None to decode every image."""
    from collections import Counter, defaultdict
    from multiprocessing.pool import ThreadPool

    import numpy as np
    from tqdm import tqdm

    from looc_mm.datasets.decoding import look_at

    listed = list_part(config)
    if isinstance(listed, Exception):
        print(f'{split:>22}  cannot be read')
        yield f'{split}: {listed}'
        return
    paths, labels, listing = listed
    numbers = [('images', len(paths), part.images), ('classes', labels, part.classes)]
    shown = (f'{found:>8,} {what}' + (f' of {known:,}' if known else '') for what, found, known in numbers)
    print(f'{split:>22}', *shown)
    for what, found, known in numbers:
        if known and found != known:
            yield f'{split}: {found:,} {what}, published are {known:,}'
    for note in listing.notes():
        print(f'{"":>22}  {note}')
    yield from (f'{split}: the folder {path} cannot be listed: {why}' for path, why in listing.unreadable.items())

    if sample is not None:
        rng = np.random.default_rng(seed)
        paths = [paths[row] for row in sorted(rng.permutation(len(paths))[:sample])]
    problems: dict[str, list[str]] = defaultdict(list)
    transparent = 0
    with ThreadPool(workers) as pool:
        looks = tqdm(pool.imap(look_at, paths, chunksize=8), 'decode', len(paths), leave=False, disable=None)
        for path, (kind, reason, alpha) in zip(paths, looks, strict=True):
            transparent += alpha
            if kind:
                problems[kind].append(f'{path}: {reason}')
    if transparent:
        print(f'{"":>22}  {transparent:,} of {len(paths):,} decoded images are transparent: composited on white')
    for each in problems.values():
        yield from (f'{split}: {problem}' for problem in each[:SHOWN])
    numbers_by_kind = Counter({kind: len(each) for kind, each in problems.items()})
    if numbers_by_kind.total() > 1:
        kinds = ', '.join(f'{number:,} {kind}' for kind, number in numbers_by_kind.most_common())
        yield f'{split}: {numbers_by_kind.total():,} broken images in all, of {len(paths):,} decoded: {kinds}'


def list_part(config: dict[str, Any]) -> 'tuple[list[str], int, Listing] | Exception':
    """The paths of a part, its number of classes and what was left out; or why it cannot be listed.

    A folder of one's own is listed even if a folder in it cannot be.
    """
    from looc_mm.datasets.folder import ImageFolder, Listing
    from looc_mm.registry import DATASETS

    listing = Listing()
    try:
        dataset = DATASETS.build({**config, 'lazy_init': True})
        if isinstance(dataset, ImageFolder) and config['type'] is ImageFolder:
            found = dataset.list_classes(listing)
            classes = sum(map(bool, found.values())) if dataset.with_label else 0
            if not listing.pictures:
                dataset.check_found([])
            return listing.pictures, classes, listing
        dataset.full_init()
    except (OSError, ValueError) as error:
        return error
    samples = [dataset.get_data_info(row) for row in range(len(dataset))]
    labels = {sample['gt_label'] for sample in samples if 'gt_label' in sample}
    return [sample['img_path'] for sample in samples], len(labels), listing
