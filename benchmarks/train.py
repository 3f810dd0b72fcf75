"""Training from files: LooC with four views beside MMPreTrain's MoCo v2 with two, and beside a batch in memory.

    python benchmarks/train.py                      # on a CPU ResNet-18 at 112 px, on a GPU ResNet-50 at 224 px
    python benchmarks/train.py --quick --json train.json

Photographs of 500 x 375 pixels are read by worker processes, as in training. Each case first takes as many steps as
its loader may have batches in store, untimed, and then those that count; all cases take turns in every round.
"""

import tempfile
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import torch
from common import DEVICE, arguments, machine, ratio, report, seconds
from mmengine.dataset import default_collate
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS as MMPRETRAIN_MODELS
from recipes import mmpretrain_view, photographs
from step import looc, mmpretrain_moco
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm import tqdm

from looc_mm.engine import Prefetched
from looc_mm.registry import DATASETS

PHOTOS = 64  # on the disk; an epoch reads each of them many times
OURS, READY, THEIRS = 'LooC(2), from files', 'LooC(2), a batch in memory', "MMPreTrain's MoCo v2, from files"


@dataclass
class Case:
    """A training step, and where its batches come from."""

    step: Callable[[Any], object]
    batches: Iterator[Any]
    in_store: int = 0

    def run(self, steps: int) -> None:
        """Train for a while."""
        for _ in range(steps):
            self.step(next(self.batches))


def main() -> None:
    """Time the cases in turns."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = True
    torch.manual_seed(0)
    init_default_scope('looc_mm')
    with tempfile.TemporaryDirectory() as folder:
        for index, photo in enumerate(photographs(PHOTOS)):
            cv2.imwrite(str(Path(folder, f'{index}.jpg')), photo)
        loader = ours(folder, args)
        model = looc(args, 2, canvas=True)
        ready = next(iter(Prefetched(loader, DEVICE)))
        theirs = theirs_training(folder, args)
        cases = {
            OURS: Case(lambda batch: train_step(model, batch), iter(Prefetched(loader, DEVICE)), in_store(loader)),
            READY: Case(lambda batch: train_step(model, batch), repeat(ready)),
            THEIRS: theirs,
        }
        times = measure(cases, args.rounds, args.steps)
    rows = [
        {'case': name, 'images/s': args.steps * args.batch / median(spent), 'x MMPreTrain': ratio(times, THEIRS, name)}
        for name, spent in times.items()
    ]
    ratios = {
        'from files / in memory': ratio(times, READY, OURS),
        "LooC(2) / MMPreTrain's MoCo v2": ratio(times, THEIRS, OURS),
    }
    setting = f'ResNet-{args.depth}, {args.size} px, {args.batch} images, {args.workers} workers'
    report(f'{setting}: {machine("mmengine", "mmpretrain")}', rows, ratios, args.json)


def parse_args() -> Namespace:
    """The options; defaults depend on the device."""
    gpu = DEVICE.type == 'cuda'
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument('--depth', type=int, default=50 if gpu else 18, help='of the ResNet')
    parser.add_argument('--size', type=int, help='of a view in pixels')
    parser.add_argument('--batch', type=int, help='images')
    parser.add_argument('--workers', type=int, default=15 if gpu else 1, help='processes that read')
    parser.add_argument('--rounds', type=int, help='how often each case is timed')
    parser.add_argument('--steps', type=int, help='of training in a round')
    args = parser.parse_args()
    args.size = args.size or (224 if gpu else 64 if args.quick else 112)
    args.batch = args.batch or (256 if gpu else 8 if args.quick else 32)
    args.rounds = args.rounds or (2 if args.quick else 5)
    args.steps = args.steps or (20 if gpu else 4)
    args.bf16 = gpu
    return args


def ours(folder: str, args: Namespace) -> DataLoader:
    """Workers that decode and resize."""
    pipeline = [dict(type='LoadCanvas', size=args.size * 8 // 7), dict(type='PackCanvas')]
    return load(DATASETS.build(dict(type='ImageFolder', data_root=folder, pipeline=pipeline)), args)


def theirs_training(folder: str, args: Namespace) -> Case:
    """MMPreTrain's model, pipeline and preprocessor of MoCo v2."""
    view = mmpretrain_view()
    view[0]['scale'] = args.size
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='MultiView', num_views=2, transforms=[view]),
        dict(type='PackInputs'),
    ]
    data = DATASETS.build(dict(type='mmpretrain.CustomDataset', data_root=folder, with_label=False, pipeline=pipeline))
    loader = load(data, args)
    model = mmpretrain_moco(args)
    norm = dict(mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375), to_rgb=True)
    preprocessor = MMPRETRAIN_MODELS.build(dict(type='mmpretrain.SelfSupDataPreprocessor', **norm)).to(DEVICE)
    model.model.data_preprocessor = preprocessor
    return Case(lambda batch: train_step(model, batch), iter(loader), in_store(loader))


def train_step(case: Any, batch: Any) -> None:
    """MMEngine's training step."""
    case.model.train_step(batch, case.wrapper)


def load(data: Dataset, args: Namespace) -> DataLoader:
    """A loader like a config's, over an epoch that does not end."""
    rows = [row % PHOTOS for row in range(100_000 * args.batch)]
    return DataLoader(
        Subset(data, rows),
        args.batch,
        num_workers=args.workers,
        collate_fn=default_collate,
        pin_memory=DEVICE.type == 'cuda',
    )


def in_store(loader: DataLoader) -> int:
    """Batches that may already be in a loader."""
    return (loader.prefetch_factor or 0) * loader.num_workers + 1


def measure(cases: dict[str, Case], rounds: int, steps: int) -> dict[str, list[float]]:
    """Seconds of that many steps of every case in every round."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in tqdm(range(rounds), 'rounds', leave=False, disable=None):
        for name, case in cases.items():
            case.run(1 + case.in_store)
            times[name].append(seconds(lambda case=case: case.run(steps)))
    return times


if __name__ == '__main__':
    main()
