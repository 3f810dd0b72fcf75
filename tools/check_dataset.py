"""Check that a dataset is whole: layout, numbers of images and classes, and whether the images can be decoded.

python tools/check_dataset.py cub data/CUB_200_2011
python tools/check_dataset.py in100 data/imagenet --all  # decode every image, not a sample
"""

import argparse
import os
import sys
from collections.abc import Iterator
from multiprocessing.pool import ThreadPool
from pathlib import Path

import cv2
import numpy as np
from mmengine.registry import init_default_scope
from PIL import Image
from tqdm import tqdm

from looc_mm.corruptions import GROUPS, SEVERITIES
from looc_mm.datasets import cub, flowers102, imagenet_c, in100, inat2019
from looc_mm.registry import DATASETS

Case = tuple[str, dict, int | None, int | None]  # split, config, published images and classes

NAMES = ('in100', 'inat2019', 'cub', 'flowers102', 'objectnet', 'imagenet-c', 'folder')
FOLDERS = ('train', 'val')  # of labelled pictures of one's own
SHOWN = 10  # broken images to name


def is_labelled(root: Path) -> bool:
    return all((root / part).is_dir() for part in FOLDERS)


def splits(kind: str, counts: dict[str, int], classes: int, **config: float) -> list[Case]:
    return [(split, dict(type=kind, split=split, **config), count, classes) for split, count in counts.items()]


def cases(name: str, root: Path) -> list[Case]:
    """The parts of a dataset, each with what was published of it."""
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


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Check that a dataset is whole; exits 1 with what is wrong. docs/datasets.md has the layouts.'
    )
    parser.add_argument('name', choices=NAMES, help='folder: pictures of your own, in train/ and val/ if labelled')
    parser.add_argument('root', type=Path, help='where it is')
    parser.add_argument('--sample', type=int, default=100, help='images to decode of each part (default: %(default)s)')
    parser.add_argument('--all', action='store_true', help='decode every image')
    parser.add_argument('--seed', type=int, default=0, help='of the sample (default: %(default)s)')
    parser.add_argument(
        '--workers', type=int, default=min(8, os.cpu_count() or 1), help='decoding threads (default: %(default)s)'
    )
    return parser.parse_args()


def broken(path: str) -> str | None:
    """What is wrong with an image, if anything."""
    try:
        with Image.open(path) as image:
            image.load()  # unlike OpenCV, Pillow refuses a file that was cut short
        if cv2.imread(path) is None:
            return f'{path}: OpenCV cannot decode it'
    except Exception as error:  # of any kind: decoders are many
        return f'{path}: {error}'
    return None


def check(case: Case, args: argparse.Namespace) -> Iterator[str]:
    """Print a part's numbers; yields what is wrong with it."""
    split, config, images, classes = case
    try:
        dataset = DATASETS.build({**config, 'data_root': str(args.root)})
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

    if not args.all:
        rng = np.random.default_rng(args.seed)
        paths = [paths[row] for row in sorted(rng.permutation(len(paths))[: args.sample])]
    with ThreadPool(args.workers) as pool:
        bar = tqdm(pool.imap(broken, paths, chunksize=8), 'decode', len(paths), leave=False, disable=None)
        problems = [problem for problem in bar if problem]
    yield from (f'{split}: {problem}' for problem in problems[:SHOWN])
    if len(problems) > SHOWN:
        yield f'{split}: {len(problems)} broken images in all, of {len(paths)} decoded'


def main() -> int:
    args = parse_args()
    init_default_scope('looc_mm')
    cv2.setNumThreads(0)  # the images are the parallel part
    problems = [problem for case in cases(args.name, args.root) for problem in check(case, args)]
    if args.name == 'folder' and is_labelled(args.root):
        problems += mismatch(args.root)
    for problem in problems:
        print(f'Wrong: {problem}', file=sys.stderr)
    if not problems:
        print(f'{args.name} in {args.root} is whole; decoded were {"all" if args.all else args.sample} images a part')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
