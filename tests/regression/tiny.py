"""A small checkpoint of LooC, what every protocol scores on it, and how its training goes on.

python -m tests.regression.tiny  # writes looc_tiny.pth and looc_tiny.json

It is epoch 2 of three. The reference of a resumed run is the third epoch of this one, which was not interrupted.
"""

import json
import os
import runpy
import sys
import tempfile
from pathlib import Path

import torch

from .records import all_records
from .reference import FOLDER, ROOT, write

CHECKPOINT, REFERENCE = FOLDER / 'looc_tiny.pth', FOLDER / 'looc_tiny.json'
IMAGES = 128  # to fit the protocols on
OPTIONS = [
    'model.backbone.stem_channels=8',
    'model.backbone.base_channels=8',
    'model.backbone.num_stages=2',
    'model.backbone.strides=[1,2]',
    'model.backbone.dilations=[1,1]',
    'model.backbone.out_indices=[1]',
    'model.neck.in_channels=16',
    'model.neck.hid_channels=16',
    'model.neck.out_channels=8',
    'model.neck.queue_len=64',
    'optim_wrapper.optimizer.type=SGD',  # one number for each weight, where AdamW keeps two
    'optim_wrapper.optimizer.momentum=0.9',
    'optim_wrapper.optimizer.lr=0.06',
    'train_dataloader.batch_size=16',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'train_dataloader.dataset.length=320',
    'train_cfg.max_epochs=3',
    'default_hooks.checkpoint.interval=1',
    'default_hooks.logger.interval=1',
    'log_level=WARNING',
]


def train(*flags: str | Path) -> list[dict]:
    """Run tools/train.py in the current folder; returns what it logged at each step, the time aside."""
    before, threads = sys.argv, torch.get_num_threads()
    sys.argv = ['train.py', str(ROOT / 'configs/looc/looc_factors.py'), '--work-dir', 'looc_tiny', *map(str, flags)]
    sys.argv += ['--cfg-options', *OPTIONS]
    torch.set_num_threads(1)
    try:
        runpy.run_path(str(ROOT / 'tools/train.py'), run_name='__main__')
    finally:
        sys.argv = before
        torch.set_num_threads(threads)
    (log,) = Path('looc_tiny').glob('*/vis_data/scalars.json')
    steps = [json.loads(line) for line in log.read_text().splitlines()]
    return [{name: value for name, value in step.items() if 'time' not in name} for step in steps]


if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        steps = train()
        checkpoint = torch.load('looc_tiny/epoch_2.pth', weights_only=True)
        checkpoint['message_hub']['runtime_info']['last_ckpt'] = 'looc_tiny/epoch_2.pth'  # it was absolute
        torch.save(checkpoint, CHECKPOINT)
        records = all_records(CHECKPOINT, IMAGES)
    write(REFERENCE, records=records, resumed=[step for step in steps if step['epoch'] == 3])
