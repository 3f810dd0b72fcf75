"""Check that a dataset is whole: layout, numbers of images and classes, and whether the images can be decoded."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

Case = tuple[str, dict, int | None, int | None]  # split, config, published images and classes

FOLDERS = ('train', 'val')  # of labelled pictures of one's own
SHOWN = 10  # broken images to name


def check_dataset(
    name: Literal['in100', 'inat2019', 'cub', 'flowers102', 'objectnet', 'imagenet-c', 'folder'],
    root: Path,
    *,
    sample: int = 100,
    all: bool = False,
    seed: int = 0,
    workers: int = min(8, os.cpu_count() or 1),
) -> int:
    """Check that a dataset is whole, and print what is wrong.

    For example::

        looc check-dataset cub data/CUB_200_2011
        looc check-dataset in100 data/imagenet --all  # decode every image, not a sample

    docs/datasets.md has the layouts.

    Args:
        name: the dataset; folder: pictures of your own, in train/ and val/ if labelled
        root: where it is
        sample: images to decode of each part
        all: decode every image
        seed: of the sample
        workers: decoding threads

    Returns:
        The exit status, 1 if something is wrong.
    """
    import cv2
    from mmengine.registry import init_default_scope

    init_default_scope('looc_mm')
    cv2.setNumThreads(0)  # the images are the parallel part
    root = Path(root)
    number = None if all else sample
    problems = [problem for case in cases(name, root) for problem in check(case, root, number, seed, workers)]
    if name == 'folder' and is_labelled(root):
        problems += mismatch(root)
    for problem in problems:
        print(f'Wrong: {problem}', file=sys.stderr)
    if not problems:
        print(f'{name} in {root} is whole; decoded were {"all" if all else sample} images a part')
    return 1 if problems else 0


def is_labelled(root: Path) -> bool:
    """Whether a folder has the parts of a labelled dataset."""
    return all((root / part).is_dir() for part in FOLDERS)


def splits(kind: str, counts: dict[str, int], classes: int, **config: float) -> list[Case]:
    """A case for each split."""
    return [(split, dict(type=kind, split=split, **config), count, classes) for split, count in counts.items()]


def cases(name: str, root: Path) -> list[Case]:
    """The parts of a dataset, each with what was published of it."""
    from looc_mm.corruptions import GROUPS, SEVERITIES
    from looc_mm.datasets import cub, flowers102, imagenet_c, in100, inat2019

    if name == 'in100':
        return splits('IN100', in100.COUNTS, 100)
    if name == 'inat2019':
        return splits('INat2019', inat2019.COUNTS, inat2019.CLASSES, reallocate=0)
    if name == 'cub':
        return splits('CUB', cub.COUNTS, 200)
    if name == 'flowers102':
        return splits('Flowers102', {each: flowers102.COUNTS[each] for each in ('train', 'val', 'test')}, 102)
    if name == 'objectnet':
        return [('test', dict(type='ObjectNet13'), None, 13)]
    if name == 'imagenet-c':
        return [
            (f'{each} {severity}', dict(type='ImageNetC', corruption=each, severity=severity), imagenet_c.COUNT, 100)
            for group in GROUPS.values()
            for each in group
            for severity in SEVERITIES
        ]
    if is_labelled(root):
        return [(each, dict(type='ImageFolder', data_prefix=each, with_label=True), None, None) for each in FOLDERS]
    return [('all', dict(type='ImageFolder'), None, None)]


def mismatch(root: Path) -> Iterator[str]:
    """What is wrong with the classes of a labelled folder: their labels are places in the sorted list."""
    train, val = ({each.name for each in os.scandir(root / part) if each.is_dir()} for part in FOLDERS)
    if train != val:
        yield (
            f'train and val differ in classes, so that labels do not mean the same: only in train are '
            f'{sorted(train - val)[:5]}, only in val {sorted(val - train)[:5]}'
        )


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


def check(case: Case, root: Path, sample: int | None, seed: int, workers: int) -> Iterator[str]:
    """Print a part's numbers; yields what is wrong with it. ``sample`` is None to decode every image."""
    from multiprocessing.pool import ThreadPool

    import numpy as np
    from tqdm import tqdm

    from looc_mm.registry import DATASETS

    split, config, images, classes = case
    try:
        dataset = DATASETS.build({**config, 'data_root': str(root)})
    except (OSError, ValueError) as error:
        print(f'{split:>22}  cannot be read')
        yield f'{split}: {error}'
        return
    samples = [dataset.get_data_info(row) for row in range(len(dataset))]
    paths = [sample['img_path'] for sample in samples]
    labels = {sample['gt_label'] for sample in samples if 'gt_label' in sample}
    numbers = [('images', len(paths), images), ('classes', len(labels), classes)]
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
