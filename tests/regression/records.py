"""Every record of every protocol for one checkpoint, to compare before and after a change.

python -m tests.regression.records CHECKPOINT OUT.json [--images 512]

tools/test.py runs the protocols for V and for the spaces, on Factors, on one thread, with a cache of features that is
empty at first. If a protocol refuses the model, each runs alone, and the refusal is a record with the error's name.
"""

import argparse
import json
import os
import runpy
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ['OMP_NUM_THREADS'] = '1'  # before torch

import cv2
import torch
from mmengine.config import Config

from looc_mm.checkpoint import load_model
from looc_mm.corruptions import CORRUPTIONS, corrupt_tree
from looc_mm.corruptions.tree import Settings
from looc_mm.datasets import Factors
from looc_mm.models.representation import representation_names

from .reference import ROOT, write

CONFIG = ROOT / 'configs/linear_eval/factors.py'
CORRUPTED = ('gaussian_noise', 'defocus_blur', 'fog', 'jpeg_compression')  # one of each group
SEVERITIES = (1, 3)
PROTOCOLS: list[dict[str, Any]] = [
    dict(type='LinearProbe', label='shape', sweep=(1e-3, 1e-1)),
    dict(type='LinearProbe', label='color', solver='sgd', lr=0.1, epochs=20, sweep=(0.01, 1.0)),
    dict(type='LinearProbe', label='texture'),
    dict(type='AugmentedLinearProbe', label='gt_label', size=48, canvas=64, lr=0.1, epochs=2),
    dict(type='RotationProbe'),
    dict(type='KNNProbe', label='color'),
    dict(type='FewShotProbe', label='gt_label', shots=(2, 5), trials=3, iterations=100),
    dict(
        type='RobustnessProbe',
        label='gt_label',
        corruptions=CORRUPTED,
        severities=SEVERITIES,
        dataset=dict(
            type='CorruptedFolder',
            data_root='corrupted',
            pipeline=[
                dict(type='LoadImageFromFile'),
                dict(type='LoadCanvas', size=48),
                dict(type='PackCanvas', label_keys=('gt_label',)),
            ],
        ),
    ),
    dict(type='Retrieval', pictures=1),
    dict(type='HeadPreference', label='gt_label', pictures=1),
    dict(type='InvarianceMatrix', images=128),
    dict(type='SpaceAblation', probe=dict(type='LinearProbe', label='gt_label')),
    dict(type='SpaceAblation', probe=dict(type='KNNProbe', label='texture')),
]


def all_records(checkpoint: Path, images: int = 256) -> list[dict[str, Any]]:
    """Run all protocols.

    Args:
        checkpoint: Of any model of the package or of MMPreTrain.
        images: Number of training images; half as many are for testing.

    Returns:
        Records without ``seconds`` and hashes; ``checkpoint`` is the file's name.
    """
    checkpoint, home, threads = checkpoint.resolve(), Path.cwd(), torch.get_num_threads()
    spaces = [name for name in representation_names(load_model(checkpoint)) if name != 'V']
    together = ['--spaces', '+'.join(spaces) or 'all']  # a model without spaces refuses
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            write_corrupted(images // 2)
            return [record for asked in ([], together) for record in run_all(checkpoint, images, asked)]
        finally:
            os.chdir(home)
            torch.set_num_threads(threads)


def write_corrupted(images: int) -> None:
    """Write the corrupted test images into ``corrupted``, in one folder for each shape, by its name."""
    dataset = Factors(images, seed=1, split='test')
    for index in range(images):
        sample = dataset[index]
        path = Path('clean', str(sample['shape']), f'{index:04}.png')
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), sample['img'])
    corrupt_tree(
        Path('clean'), Path('corrupted'), [CORRUPTIONS[name] for name in CORRUPTED], SEVERITIES, Settings(None)
    )
    for folder in Path('corrupted').glob('*/*/*'):  # after that, as the corruptions are drawn by the paths
        folder.rename(folder.with_name(Factors.METAINFO['shape'][int(folder.name)]))


def run_all(checkpoint: Path, images: int, spaces: list[str]) -> list[dict[str, Any]]:
    """The records of all protocols, and of refusals."""
    try:
        return run(checkpoint, PROTOCOLS, images, spaces)
    except ValueError as error:
        print(f'One by one, as one was refused: {error}')
    records = []
    for protocol in PROTOCOLS:
        try:
            records += run(checkpoint, [protocol], images, spaces)
        except ValueError as error:
            print(f'{protocol["type"]}: {error}')
            records.append({'refused': protocol['type'], 'spaces': spaces[1:], 'error': type(error).__name__})
    return records


def run(checkpoint: Path, protocols: list[dict[str, Any]], images: int, spaces: list[str]) -> list[dict[str, Any]]:
    """The records of some protocols, by tools/test.py."""
    cfg = Config.fromfile(CONFIG)
    for loader, length in ((cfg.test_dataloader, images // 2), (cfg.test_cfg.train_dataloader, images)):
        loader.num_workers = 0
        loader.dataset.update(length=length, target='shape')
        loader.dataset.pipeline[-1].label_keys = ('gt_label', 'shape', 'color', 'texture')
    cfg.test_cfg.protocols = protocols
    cfg.dump('config.py')
    Path('out/results.json').unlink(missing_ok=True)  # of the run before
    before = sys.argv
    sys.argv = ['test.py', 'config.py', str(checkpoint), '--work-dir', 'out', '--cache', 'cache', *spaces]
    try:
        runpy.run_path(str(ROOT / 'tools/test.py'), run_name='__main__')
    finally:
        sys.argv = before
    records = json.loads(Path('out/results.json').read_text())
    assert all(record['checkpoint'] == str(checkpoint) for record in records)
    hashes = ('weights', 'data', 'classes')
    kept = [{name: value for name, value in record.items() if name not in hashes} for record in records]
    return [{**record, 'checkpoint': checkpoint.name, 'seconds': None} for record in kept]


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='Write every record of every protocol for one checkpoint.')
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--images', type=int, default=512, help='training images; half as many for testing')
    arguments = parser.parse_args()
    write(arguments.out, records=all_records(arguments.checkpoint, arguments.images))
