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

from looc_mm.datasets import Part
from looc_mm.datasets.whole import differences, known_datasets, parts_of
from looc_mm.plugins import PLUGIN_HELP, load_files
from looc_mm.registry import DATASETS

SHOWN = 10  # broken images to name


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Check that a dataset is whole; exits 1 with what is wrong. docs/datasets.md has the layouts.'
    )
    parser.add_argument(
        'name',
        help=f'{", ".join(known_datasets())}, or a class of a plug-in; folder: your own pictures, in train/ and val/ '
        f'if labelled',
    )
    parser.add_argument('root', type=Path, help='where it is')
    parser.add_argument('--sample', type=int, default=100, help='images to decode of each part (default: %(default)s)')
    parser.add_argument('--all', action='store_true', help='decode every image')
    parser.add_argument('--seed', type=int, default=0, help='of the sample (default: %(default)s)')
    parser.add_argument(
        '--workers', type=int, default=min(8, os.cpu_count() or 1), help='decoding threads (default: %(default)s)'
    )
    parser.add_argument('--plugin', action='append', default=[], metavar='FILE.py', help=PLUGIN_HELP)
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


def check(split: str, config: dict, part: Part, args: argparse.Namespace) -> Iterator[str]:
    """Print a part's numbers; yields what is wrong with it."""
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
    load_files(args.plugin)
    init_default_scope('looc_mm')
    cv2.setNumThreads(0)  # the images are the parallel part
    parts = parts_of(args.name, args.root).items()
    problems = [problem for split, (config, part) in parts for problem in check(split, config, part, args)]
    problems += differences(args.name, args.root)
    for problem in problems:
        print(f'Wrong: {problem}', file=sys.stderr)
    if not problems:
        print(f'{args.name} in {args.root} is whole; decoded were {"all" if args.all else args.sample} images a part')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
