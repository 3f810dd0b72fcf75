"""Write a dataset once as canvases in shards, which train.py --canvases reads.

python tools/pack_canvases.py configs/looc/looc_r50_in100.py data/in100_canvases
python tools/pack_canvases.py data/pictures data/pictures_canvases --size 256
python tools/pack_canvases.py --verify data/in100_canvases
"""

import argparse
import os
import sys
from pathlib import Path

import cv2
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope

from looc_mm.datasets.folder_job import check_apart
from looc_mm.datasets.pack import pack_canvases, verify_canvases
from looc_mm.datasets.shards import SETTINGS


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Write OUT/000000.tar, ...: the pictures of a dataset as square JPEGs of one size, in random '
        'order, with the sizes of their originals and the labels. Started again, it makes what is missing.'
    )
    parser.add_argument('source', nargs='?', type=Path, help='config, for its training dataset, or folder of pictures')
    parser.add_argument('out', nargs='?', type=Path, help='folder to write')
    parser.add_argument('--verify', type=Path, metavar='OUT', help='only compare the shards there with their checksums')
    parser.add_argument('--size', type=int, help="side in pixels (default: the config's; of a folder 256)")
    parser.add_argument('--quality', type=int, default=90, help='of the JPEGs, 1 to 100 (default: %(default)s)')
    parser.add_argument('--per-shard', type=int, default=1000, help='pictures to a shard (default: %(default)s)')
    parser.add_argument('--with-label', action='store_true', help="a folder's sub-folders are its classes")
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='override config entries, e.g. train_dataloader.dataset.split=val',
    )
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1, help='processes (default: %(default)s)')
    args = parser.parse_args()
    if args.verify is None and args.out is None or args.verify and args.source:
        parser.error('give SOURCE and OUT, or --verify OUT')
    return args


def dataset_config(args: argparse.Namespace) -> dict:
    if args.source.suffix == '.py':
        cfg = Config.fromfile(args.source)
        cfg.merge_from_dict(args.cfg_options)
        if 'train_dataloader' not in cfg:
            raise ValueError(f'{args.source} has no train_dataloader, whose dataset is written; give one that trains')
        return cfg.train_dataloader.dataset
    check_apart(args.source, args.out, 'packed')
    pipeline = [dict(type='LoadCanvas'), dict(type='PackCanvas')]
    return dict(type='ImageFolder', data_root=str(args.source), with_label=args.with_label, pipeline=pipeline)


def main() -> int:
    args = parse_args()
    init_default_scope('looc_mm')
    if args.verify:
        problems = verify_canvases(args.verify, args.workers)
        for path, problem in problems.items():
            print(f'Wrong: {path}: {problem}', file=sys.stderr)
        if problems:
            print('Delete these and start the packing as before: it makes what is missing.', file=sys.stderr)
        else:
            print(f'{args.verify} is whole')
        return 1 if problems else 0

    cv2.setNumThreads(1)  # the shards are the parallel part
    report = pack_canvases(dataset_config(args), args.out, args.size, args.quality, args.per_shard, args.workers)
    return report.show(
        f'{report.made} shards made, {report.finished} were finished before, '
        f'{report.steps - len(report.broken)} pictures in all, {len(report.broken)} are broken: {args.out / SETTINGS}'
    )


if __name__ == '__main__':
    sys.exit(main())
