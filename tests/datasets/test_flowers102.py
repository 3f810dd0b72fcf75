from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from scipy.io import savemat

from looc_mm.datasets import Flowers102, Part, checks
from looc_mm.registry import DATASETS

LABELS = [77, 1, 102, 1, 77, 102, 5]  # of image_00001.jpg, ...
IDS = {'trnid': [2, 7], 'valid': [6, 1], 'tstid': [3, 4, 5]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / 'flowers102'
    (folder / 'jpg').mkdir(parents=True)
    for number in range(1, 8):
        cv2.imwrite(str(folder / f'jpg/image_{number:05}.jpg'), np.zeros((30, 40, 3), np.uint8))
    savemat(folder / 'imagelabels.mat', {'labels': np.array([LABELS], np.uint8)}, do_compression=True)  # (1, 8189)
    savemat(folder / 'setid.mat', {key: np.array([ids], np.uint16) for key, ids in IDS.items()})
    return folder


@pytest.fixture(autouse=True)
def warnings(monkeypatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(checks, 'print_log', lambda message, **_: said.append(message))
    return said


@pytest.mark.parametrize(
    ('split', 'ids'),
    [('train', [2, 7]), ('val', [6, 1]), ('trainval', [2, 7, 6, 1]), ('test', [3, 4, 5])],
)
def test_splits_and_labels_are_those_of_the_mat_files(root, split, ids):
    dataset = Flowers102(str(root), split=split)
    found = [dataset.get_data_info(i) for i in range(len(dataset))]
    assert [info['img_path'] for info in found] == [str(root / f'jpg/image_{number:05}.jpg') for number in ids]
    assert [info['gt_label'] for info in found] == [LABELS[number - 1] - 1 for number in ids]


def test_classes_are_named(root):
    classes = Flowers102(str(root)).metainfo['classes']
    assert len(set(classes)) == 102
    assert (classes[0], classes[76], classes[101]) == ('pink primrose', 'passion flower', 'blackberry lily')


def test_published_counts(root, warnings, monkeypatch):
    images = {split: part.images for split, part in Flowers102.published.items()}
    assert images['trainval'] + images['test'] == images['train'] + images['val'] + images['test'] == 8189
    Flowers102(str(root), split='test')
    assert len(warnings) == 1 and '6149 images, but 3 were found' in warnings[0]
    monkeypatch.setitem(Flowers102.published, 'test', Part(3, 102))
    Flowers102(str(root), split='test')
    assert len(warnings) == 1


def test_the_config_reads_it(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    Path('data').symlink_to('.')
    cfg = Config.fromfile(Path(__file__).parents[2] / 'configs/linear_eval/flowers102.py')
    init_default_scope('looc_mm')
    for loader, label in ((cfg.test_dataloader, 101), (cfg.test_cfg.train_dataloader, 0)):
        sample = DATASETS.build(loader.dataset)[0]
        assert sample['inputs'].shape == (3, 224, 224) and sample['labels'] == {'gt_label': label}


@pytest.mark.parametrize('name', ['imagelabels.mat', 'setid.mat'])
def test_a_missing_or_unreadable_mat_file(root, name):
    content = (root / name).read_bytes()
    for wrong in (b'<html>404</html>', content[: len(content) // 2], b''):
        (root / name).write_bytes(wrong)
        with pytest.raises(ValueError, match=r'cannot be read together \(.*download both again'):
            Flowers102(str(root))
    (root / name).unlink()
    with pytest.raises(FileNotFoundError, match=f'lacks {name} and has .*102flowers.tgz and put imagelabels.mat'):
        Flowers102(str(root))


def test_mat_files_of_other_content(root):
    savemat(root / 'setid.mat', {'trnid': np.array([[2, 8]])})  # there are seven labels
    for split in ('train', 'test'):
        with pytest.raises(ValueError, match=r'cannot be read together \((IndexError|KeyError)'):
            Flowers102(str(root), split=split)


def test_missing_images_are_counted(root):
    (root / 'jpg/image_00007.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'1 of 2 listed images are missing, first .*image_00007.jpg'):
        Flowers102(str(root))
    (root / 'jpg').rename(root / 'jpeg')
    with pytest.raises(FileNotFoundError, match=r'lacks jpg/ and has .*jpeg'):
        Flowers102(str(root))


def test_unknown_split(root):
    with pytest.raises(ValueError, match=r"split='dev'; its splits are \['train', 'val', 'trainval', 'test'\]"):
        Flowers102(str(root), split='dev')
