import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from looc_mm.corruptions import GROUPS
from looc_mm.datasets import CorruptedFolder, ImageNetC, Part, checks
from looc_mm.datasets.imagenet_c import ARCHIVES
from looc_mm.datasets.in100 import WNIDS
from looc_mm.registry import DATASETS


@pytest.fixture(scope='module')
def whole(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp('data') / 'imagenet-c'
    picture = cv2.imencode('.jpg', np.zeros((224, 224, 3), np.uint8))[1].tobytes()
    for corruption, severity in (('gaussian_noise', 3), ('fog', 5)):
        for wnid in (*WNIDS, 'n00000000'):
            path = root / f'{corruption}/{severity}/{wnid}/ILSVRC2012_val_00000001.JPEG'
            path.parent.mkdir(parents=True)
            path.write_bytes(picture)
    return root


@pytest.fixture
def root(whole, tmp_path) -> Path:
    shutil.copytree(whole, tmp_path / 'imagenet-c')
    return tmp_path / 'imagenet-c'


@pytest.fixture(autouse=True)
def warnings(monkeypatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(checks, 'print_log', lambda message, **_: said.append(message))
    return said


def test_a_corruption_and_severity_is_a_folder_of_in100s_classes(whole):
    dataset = ImageNetC(str(whole), corruption='fog', severity=5)
    assert len(dataset) == 100
    for info in map(dataset.get_data_info, range(100)):
        path = Path(info['img_path'])
        assert path.is_relative_to(whole / 'fog/5') and WNIDS[info['gt_label']] == path.parent.name
    assert dataset.metainfo['classes'] == WNIDS


def test_counts_are_checked(whole, warnings, monkeypatch):
    ImageNetC(str(whole), 'fog', 5)
    assert len(warnings) == 1 and 'fog 5 of IN-100 has 5000 images, but 100 were found' in warnings[0]
    monkeypatch.setitem(ImageNetC.published, 'fog 5', Part(100, 100))
    ImageNetC(str(whole), 'fog', 5)
    assert len(warnings) == 1


def test_the_config_feeds_images_as_they_are(whole, monkeypatch):
    monkeypatch.chdir(whole.parents[0])
    if not Path('data').exists():
        Path('data').symlink_to('.')
    cfg = Config.fromfile(Path(__file__).parents[2] / 'configs/robustness/imagenet_c.py')
    init_default_scope('looc_mm')
    dataset = DATASETS.build(dict(cfg.corrupted, corruption='gaussian_noise', severity=3))
    assert dataset[1]['inputs'].shape == (3, 224, 224) and dataset[1]['labels'] == {'gt_label': 1}
    assert [step.type for step in cfg.corrupted.pipeline] == ['LoadImageFromFile', 'PackCanvas']
    assert cfg.test_dataloader.dataset.split == 'val' and cfg.test_cfg.train_dataloader.dataset.split == 'train'


def test_any_folder_in_the_layout_is_read(tmp_path, warnings):
    for name in ('frost/1/tench/a.jpg', 'frost/1/church/b.jpg', 'frost/2/church/c.jpg', 'mine/4/church/d.png'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    dataset = DATASETS.build(dict(type='CorruptedFolder', data_root=str(tmp_path), corruption='frost', severity=1))
    found = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [(Path(info['img_path']).name, info['gt_label']) for info in found] == [('b.jpg', 0), ('a.jpg', 1)]
    assert dataset.metainfo['classes'] == ('church', 'tench')
    assert len(CorruptedFolder(str(tmp_path), 'mine', 4)) == 1
    assert not warnings


def test_missing_classes_are_counted_and_named(root):
    for wnid in WNIDS[5:45]:
        shutil.rmtree(root / 'fog/5' / wnid)
    with pytest.raises(FileNotFoundError, match=f'40 of the 100 class folders are missing, first {WNIDS[5]}'):
        ImageNetC(str(root), 'fog', 5)


def test_missing_corruptions_and_severities(whole):
    with pytest.raises(FileNotFoundError, match=r"snow/5.*has the folders \['fog', 'gaussian_noise'\]"):
        ImageNetC(str(whole), 'snow', 5)
    with pytest.raises(FileNotFoundError, match=r'fog/1.*no such corruption and severity.*data_root='):
        ImageNetC(str(whole), 'fog', 1)
    with pytest.raises(FileNotFoundError, match=r'nowhere/fog/5.*there is no such folder'):
        ImageNetC('nowhere', 'fog', 5)
    for severity in (0, 6, 2.5):
        with pytest.raises(ValueError, match=f'severity={severity}; severities are 1 .* to 5'):
            CorruptedFolder(str(whole), 'fog', severity)


def test_the_published_archives_hold_the_corruptions_that_are_made_here():
    assert {group: tuple(names) for group, names in GROUPS.items()} == ARCHIVES
    assert len(ImageNetC.published) == 15 * 5
