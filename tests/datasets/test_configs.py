from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine import Config, DefaultScope
from mmengine.runner import Runner

from looc_mm.datasets.in100 import WNIDS

FOLDER = Path(__file__).parents[2] / 'configs/_base_/datasets'
LAYOUTS = {  # config -> first image, canvas, labels
    'in100': ([f'data/imagenet/train/{wnid}/1.JPEG' for wnid in WNIDS], 256, {'gt_label'}),
    'imagenette': (['data/imagenette/train/n01440764/1.jpg'], 64, None),
    'factors': ([], 64, {'shape', 'color', 'texture'}),
}


@pytest.mark.parametrize('name', LAYOUTS)
def test_runner_makes_batches_from_the_official_layout(tmp_path, monkeypatch, name):
    images, canvas, labels = LAYOUTS[name]
    monkeypatch.chdir(tmp_path)
    for path in images:
        Path(path).parent.mkdir(parents=True)
        cv2.imwrite(path, np.zeros((20, 30, 3), np.uint8))
    config = Config.fromfile(FOLDER / f'{name}.py')
    assert set(config) == {'train_dataloader'}
    config.merge_from_dict(
        {'train_dataloader.batch_size': 1, 'train_dataloader.num_workers': 0, 'train_dataloader.persistent_workers': 0}
    )
    with DefaultScope.overwrite_default_scope('looc_mm'):
        batch = next(iter(Runner.build_dataloader(config.train_dataloader)))
    assert batch['inputs'].shape == (1, 3, canvas, canvas)
    assert batch['image_size'].tolist() == ([[20, 30]] if images else [[64, 64]])
    assert batch.get('labels', {}).keys() == (labels or set())
