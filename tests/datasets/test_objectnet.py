import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from looc_mm.datasets import CropBorder, ObjectNet13
from looc_mm.datasets.in100 import WNIDS
from looc_mm.datasets.objectnet import FOLDERS
from looc_mm.registry import DATASETS, TRANSFORMS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder as unpacked: pictures with a red frame, of the 13 classes and of one that IN-100 does not have."""
    folder = tmp_path / 'objectnet-1.0'
    picture = np.full((300, 400, 3), 90, np.uint8)
    cv2.rectangle(picture, (0, 0), (399, 299), (0, 0, 255), 1)
    for name in (*FOLDERS, 'alarm_clock'):
        (folder / 'images' / name).mkdir(parents=True)
        cv2.imwrite(str(folder / f'images/{name}/8a1f3a4b0d7e4c1.png'), picture)
    (folder / 'mappings').mkdir()
    return folder


def test_labels_are_in100s(root):
    dataset = ObjectNet13(str(root))
    found = {Path(info['img_path']).parent.name: info['gt_label'] for info in map(dataset.get_data_info, range(13))}
    assert len(dataset) == 13
    assert {name: WNIDS[label] for name, label in found.items()} == FOLDERS
    assert dataset.metainfo['classes'] == WNIDS


def test_the_mapping_is_the_papers_thirteen_classes():
    assert len(set(FOLDERS.values())) == len(FOLDERS) == 13
    assert set(FOLDERS.values()) <= set(WNIDS)
    assert list(FOLDERS) == sorted(FOLDERS)


def test_the_config_crops_the_frame_before_resizing(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    Path('data').symlink_to('.')
    cfg = Config.fromfile(Path(__file__).parents[2] / 'configs/linear_eval/objectnet.py')
    init_default_scope('looc_mm')
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    assert dataset[0]['inputs'].shape == (3, 224, 224) and dataset[0]['inputs'].unique().tolist() == [90]
    assert dataset[0]['labels'] == {'gt_label': WNIDS.index('n03891251')}
    assert cfg.test_cfg.train_dataloader.dataset.type == 'IN100'
    assert 'CropBorder' not in [step.type for step in cfg.test_cfg.train_dataloader.dataset.pipeline]


def test_crop_border():
    crop = TRANSFORMS.build(dict(type='CropBorder', pixels=2))
    img = np.arange(7 * 9 * 3, dtype=np.uint8).reshape(7, 9, 3)
    results = crop(dict(img=img, img_shape=(7, 9)))
    assert np.array_equal(results['img'], img[2:5, 2:7])
    assert results['img_shape'] == (3, 5)
    assert repr(crop) == 'CropBorder(pixels=2)'
    with pytest.raises(ValueError, match=r"leaves nothing of 'a.png', 9 x 4 pixels"):
        crop(dict(img=img[:4], img_path='a.png'))
    with pytest.raises(ValueError, match='pixels=0; it needs at least 1'):
        CropBorder(0)


def test_missing_and_empty_folders(root):
    (root / 'images/chair/8a1f3a4b0d7e4c1.png').rename(root / 'images/chair/1.jpg')
    with pytest.raises(FileNotFoundError, match=r'no \.png images of chair\.'):
        ObjectNet13(str(root))
    shutil.rmtree(root / 'images/chair')
    shutil.rmtree(root / 'images/wheel')
    with pytest.raises(FileNotFoundError, match='2 of the 13 class folders are missing, first chair wheel'):
        ObjectNet13(str(root))
    with pytest.raises(FileNotFoundError, match=r'nowhere/images.*there is no such folder.*data_root='):
        ObjectNet13('nowhere')
