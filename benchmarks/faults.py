"""What damage does to a run: kills, checkpoints, shards and cached features, in a table of tries and outcomes.

    python benchmarks/faults.py                      # 20 kills, 300 checkpoints, 100 shards, 100 caches
    python benchmarks/faults.py --sample             # 2 kills, 30 checkpoints, 12 shards, 12 caches
    python benchmarks/faults.py --kills 100 --json faults.json

Half of the damaged files have a flipped bit, and half are cut short. A file counts as "other values" if it was read and
what was read differs from what was written; the exit status is 1 if there is one. A flipped bit can change no value: it
is in padding, or in a time that nobody reads. A killed training is resumed until it ends, and its weights are compared
with those of a training that was not killed.
"""

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from common import arguments, machine
from tqdm import tqdm

from looc_mm.checkpoint import read_checkpoint
from looc_mm.datasets import CanvasShards
from looc_mm.datasets.pack import pack_canvases
from looc_mm.datasets.shards import open_file
from looc_mm.evaluation import FeatureSet
from looc_mm.evaluation.cache import FeatureCache

REFUSED, SAME, OTHER = 'refused', 'same values', 'other values'
BAD = (OTHER, 'other weights', 'other error')
TRAINING = """
_base_ = ['{repo}/configs/looc/looc_factors.py']
model = dict(
    backbone=dict(_delete_=True, type='ResNet', depth=18, stem_channels=8, base_channels=8),
    neck=dict(in_channels=64, hid_channels=16, out_channels=8, queue_len=32))
train_dataloader = dict(batch_size=8, num_workers=0, persistent_workers=False, dataset=dict(length=64))
train_cfg = dict(max_epochs=6)
randomness = dict(seed=0)
"""


def damaged(whole: bytes, rng: random.Random, cut: bool) -> bytes:
    """The bytes, cut short or with a flipped bit."""
    if cut:
        return whole[: rng.randrange(len(whole))]
    content, bit = bytearray(whole), rng.randrange(8 * len(whole))
    content[bit // 8] ^= 1 << bit % 8
    return bytes(content)


def damage_files(
    title: str, paths: list[Path], read: Callable[[], Any], refusals: tuple[type[Exception], ...], tries: int
) -> Counter[str]:
    """Damage one of the files at a time and read.

    Args:
        title: Of the progress bar.
        paths: The files.
        read: What is compared: nested lists of arrays and numbers, or None for a refusal.
        refusals: Errors that are a refusal.
        tries: How often.
    """
    rng, wholes, wanted = random.Random(0), {path: path.read_bytes() for path in paths}, read()
    found: Counter[str] = Counter()
    for index in tqdm(range(tries), title, leave=False, disable=None):
        path = rng.choice(paths)
        path.write_bytes(damaged(wholes[path], rng, cut=bool(index % 2)))
        try:
            got = read()
            found[REFUSED if got is None else SAME if equal(got, wanted) else OTHER] += 1
        except refusals:
            found[REFUSED] += 1
        except Exception as error:  # counted, so that the table shows it
            print(f'{path.name}: {type(error).__name__}: {error}', file=sys.stderr)
            found['other error'] += 1
        path.write_bytes(wholes[path])
    assert equal(read(), wanted), 'the files are whole again'
    return found


def equal(one: Any, other: Any) -> bool:
    """Whether nested lists hold the same arrays and numbers."""
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(equal, one, other))
    return np.array_equal(one, other)


def checkpoints(folder: Path, tries: int) -> Counter[str]:
    """A checkpoint of 100 kB, read as for an evaluation."""
    path, rng = folder / 'epoch_2.pth', torch.Generator().manual_seed(0)
    state = {f'layer{index}.weight': torch.randn(64, 32, generator=rng) for index in range(12)}
    torch.save({'state_dict': state, 'meta': {'epoch': 2, 'cfg': 'model = dict(type="ResNet")'}}, path)

    def read() -> Any:
        found = read_checkpoint(path)
        return [[name, value.numpy()] for name, value in found.state_dict.items()] + [found.epoch, found.config_text]

    return damage_files('checkpoints', [path], read, (ValueError,), tries)


def shards(folder: Path, tries: int) -> Counter[str]:
    """Three shards of ten pictures: tars, indices and settings; all pictures and labels are read."""
    pipeline = [dict(type='LoadCanvas', size=48), dict(type='PackCanvas', label_keys=['shape', 'color'])]
    pack_canvases(dict(type='Factors', length=30, size=64, pipeline=pipeline), folder, per_shard=10)

    def read() -> Any:
        open_file.cache_clear()
        dataset = CanvasShards(str(folder))
        samples = [dataset[row] for row in range(len(dataset))]
        return [[each['inputs'].numpy(), *map(int, each['labels'].values())] for each in samples]

    return damage_files('shards', sorted(folder.iterdir()), read, (ValueError, FileNotFoundError), tries)


def caches(folder: Path, tries: int) -> Counter[str]:
    """Features of 200 pictures; None means that they are extracted again."""
    cache, rng = FeatureCache(folder), torch.Generator().manual_seed(0)
    cache.get('a', lambda: FeatureSet({'V': torch.randn(200, 32, generator=rng)}, {'gt_label': torch.arange(200)}))

    def read() -> Any:
        found = cache.read('a')
        return None if found is None else [found.parts['V'].numpy(), found.labels['gt_label'].numpy()]

    return damage_files('caches', [cache.path('a')], read, (), tries)


def kills(folder: Path, tries: int) -> Counter[str]:
    """A training of 6 epochs is killed at a random time, and resumed until it ends."""
    config = folder / 'small.py'
    config.write_text(TRAINING.format(repo=Path(__file__).resolve().parents[1]))

    def train(name: str, *options: str, seconds: float | None = None) -> bool:
        command = [sys.executable, '-m', 'looc_mm', 'train', str(config), '--work-dir', str(folder / name), *options]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            try:
                error = process.communicate(timeout=seconds)[1]
            except subprocess.TimeoutExpired:
                process.kill()
                return False
        if process.returncode:
            raise RuntimeError(f'{" ".join(command)} failed:\n{error[-3000:]}')
        return True

    def weights(name: str) -> dict[str, torch.Tensor]:
        return read_checkpoint(folder / name / 'epoch_6.pth').state_dict

    start = time.perf_counter()
    train('whole')
    length, wanted, rng = time.perf_counter() - start, weights('whole'), random.Random(0)
    found: Counter[str] = Counter()
    for index in tqdm(range(tries), 'kills', leave=False, disable=None):
        name = f'killed_{index}'
        if train(name, seconds=rng.uniform(0.3, 1) * length):
            found['ended before the kill'] += 1
            continue
        try:
            train(name, '--resume')
        except RuntimeError as error:
            print(error, file=sys.stderr)
            found['other error'] += 1
            continue
        got = weights(name)
        found['resumed, equal weights' if all(torch.equal(got[key], wanted[key]) for key in wanted) else BAD[1]] += 1
    return found


def main() -> int:
    """Run all and print the table; returns the exit status."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument('--sample', action='store_true', help='few of each, as the tests do')
    parser.add_argument('--kills', type=int, help='trainings to kill (20)')
    options = parser.parse_args()
    sample = options.sample or options.quick
    tries = {'checkpoints': 30, 'shards': 12, 'caches': 12} if sample else dict(checkpoints=300, shards=100, caches=100)
    killed = options.kills if options.kills is not None else 2 if sample else 20
    torch.set_num_threads(options.threads)
    rows: dict[str, dict[str, int]] = {}
    cases: list[tuple[str, Callable[[Path, int], Counter[str]], int]] = [
        ('damaged checkpoints', checkpoints, tries['checkpoints']),
        ('damaged shards', shards, tries['shards']),
        ('damaged caches', caches, tries['caches']),
        ('SIGKILLs', kills, killed),
    ]
    print(machine('mmengine'))
    print('| fault | tries | what happened |\n|---|---|---|')
    for title, run, number in cases:
        if number:
            with TemporaryDirectory() as folder:
                rows[title] = dict(run(Path(folder), number))
            print(f'| {title} | {number} | {", ".join(f"{count} {what}" for what, count in rows[title].items())} |')
    if options.json:
        options.json.write_text(json.dumps({'rows': rows, 'ratios': {}}, indent=1) + '\n')
    return int(any(what in BAD for row in rows.values() for what in row))


if __name__ == '__main__':
    sys.exit(main())
