"""A small network and small pictures."""

import cv2
import numpy as np
import torch
from mmengine.config import Config

from ..test_export import NARROW, build, config

COLORS = {'blue': (200, 60, 60), 'green': (60, 200, 60), 'red': (60, 60, 200)}  # BGR


def make_run(folder):
    """A work dir that was moved: the path in last_checkpoint does not exist."""
    folder.mkdir()
    cfg = config(NARROW, 64)
    meta = {
        'cfg': Config(dict(model=cfg)).pretty_text,
        'epoch': 3,
        'spaces': {'color': 'learning', 'rotation': 'not yet'},
    }
    torch.save({'state_dict': build(cfg).state_dict(), 'meta': meta}, folder / 'epoch_3.pth')
    (folder / 'last_checkpoint').write_text('/elsewhere/looc/epoch_3.pth')
    return folder


def make_pictures(root):
    """Noise whose class is its colour: 12 pictures for training and 6 for the test, of each of 3 classes."""
    draw = np.random.default_rng(0)
    for split, number in (('train', 12), ('val', 6)):
        for name, color in COLORS.items():
            (root / split / name).mkdir(parents=True)
            for index in range(number):
                noise = draw.integers(-60, 60, (40, 48, 3))
                cv2.imwrite(str(root / split / name / f'{index}.png'), (noise + color).clip(0, 255).astype(np.uint8))
    return root
