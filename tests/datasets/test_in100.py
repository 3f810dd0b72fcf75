import shutil
from pathlib import Path

import pytest

from looc_mm.datasets import Part, checks, in100
from looc_mm.registry import DATASETS


@pytest.fixture
def imagenet(tmp_path: Path) -> Path:
    """An ImageNet folder of two images a class in train and one in val, with a class that is not IN-100's."""
    for wnid in (*in100.WNIDS, 'n00000000'):
        for name in ('train/{0}/{0}_1.JPEG', 'train/{0}/{0}_2.JPEG', 'val/{0}/ILSVRC2012_val_00000001.JPEG'):
            path = tmp_path / name.format(wnid)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    return tmp_path


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(checks, 'print_log', lambda message, **_: said.append(message))
    return said


def test_list_is_the_published_one():
    assert len(set(in100.WNIDS)) == 100
    assert (in100.WNIDS[0], in100.WNIDS[-1]) == ('n01558993', 'n13040303')
    objectnet = 'n02877765 n02974003 n03085013 n03379051 n03584829 n03594734 n03637318 n03642806 n03775546 n03891251'
    assert {*objectnet.split(), 'n04099969', 'n04127249', 'n04517823'} <= set(in100.WNIDS)


def test_labels_index_the_sorted_wnids(imagenet, warnings):
    dataset = DATASETS.build({'type': 'IN100', 'data_root': str(imagenet)})
    assert len(dataset) == 200
    for info in map(dataset.get_data_info, range(200)):
        path = Path(info['img_path'])
        assert path.is_relative_to(imagenet / 'train')
        assert sorted(in100.WNIDS)[info['gt_label']] == path.parent.name
    assert dataset.get_gt_labels().tolist() == [label for label in range(100) for _ in range(2)]
    assert dataset.metainfo['classes'] == in100.WNIDS == tuple(sorted(in100.WNIDS))


def test_val_is_another_folder(imagenet, warnings):
    dataset = in100.IN100(str(imagenet), split='val')
    assert len(dataset) == 100
    assert Path(dataset.get_data_info(0)['img_path']).is_relative_to(imagenet / 'val')


def test_counts_are_checked(imagenet, warnings, monkeypatch):
    in100.IN100(str(imagenet))
    assert len(warnings) == 1 and '126689 images, but 200 were found' in warnings[0]
    monkeypatch.setitem(in100.IN100.published, 'train', Part(200, 100))
    in100.IN100(str(imagenet), indices=10)
    assert len(warnings) == 1


def test_missing_classes_are_counted_and_named(imagenet):
    for wnid in in100.WNIDS[5:45]:
        shutil.rmtree(imagenet / 'train' / wnid)
    with pytest.raises(FileNotFoundError, match=f'40 of the 100 class folders are missing.*{in100.WNIDS[5]}'):
        in100.IN100(str(imagenet))


def test_missing_folder_and_split():
    with pytest.raises(FileNotFoundError, match=r'nowhere/train.*--cfg-options'):
        in100.IN100('nowhere')
    with pytest.raises(ValueError, match=r"split='test'; its splits are \['train', 'val'\]"):
        in100.IN100('nowhere', split='test')
