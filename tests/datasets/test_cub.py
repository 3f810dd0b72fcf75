from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from looc_mm.datasets import CUB, Part, checks
from looc_mm.registry import DATASETS

IMAGES = [  # path, class, 1 if training: as the archive's three text files have them
    ('001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg', 1, 0),
    ('001.Black_footed_Albatross/Black_Footed_Albatross_0009_34.jpg', 1, 1),
    ('002.Laysan_Albatross/Laysan_Albatross_0002_1027.jpg', 2, 1),
    ('200.Common_Yellowthroat/Common_Yellowthroat_0003_190521.jpg', 200, 0),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / 'CUB_200_2011'
    for path, _, _ in IMAGES:
        (folder / 'images' / path).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / 'images' / path), np.zeros((300, 400, 3), np.uint8))
    for column, name in enumerate(['images', 'image_class_labels', 'train_test_split']):
        (folder / f'{name}.txt').write_text(''.join(f'{n} {row[column]}\n' for n, row in enumerate(IMAGES, 1)))
    return folder


@pytest.fixture(autouse=True)
def warnings(monkeypatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(checks, 'print_log', lambda message, **_: said.append(message))
    return said


def test_splits_and_labels_are_those_of_the_text_files(root):
    for split, is_training in (('train', 1), ('test', 0)):
        dataset = CUB(str(root), split=split)
        found = [(dataset.get_data_info(i)['img_path'], dataset.get_data_info(i)['gt_label']) for i in range(2)]
        assert len(dataset) == 2
        assert found == [
            (str(root / 'images' / path), label - 1) for path, label, part in IMAGES if part == is_training
        ]
    assert dataset.metainfo['classes'][0] == 'Black_footed_Albatross'
    assert dataset.metainfo['classes'][199] == 'Common_Yellowthroat'


def test_counts_are_checked(root, warnings, monkeypatch):
    CUB(str(root))
    assert len(warnings) == 1 and '5994 images, but 2 were found' in warnings[0]
    monkeypatch.setitem(CUB.published, 'train', Part(2, 200))
    CUB(str(root))
    assert len(warnings) == 1


def test_the_config_reads_it(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    Path('data').symlink_to('.')
    cfg = Config.fromfile(Path(__file__).parents[2] / 'configs/linear_eval/cub.py')
    init_default_scope('looc_mm')
    for loader, label in ((cfg.test_dataloader, 0), (cfg.test_cfg.train_dataloader, 0)):
        sample = DATASETS.build(loader.dataset)[0]
        assert sample['inputs'].shape == (3, 224, 224) and sample['labels'] == {'gt_label': label}


@pytest.mark.parametrize('name', ['images.txt', 'image_class_labels.txt', 'train_test_split.txt'])
def test_a_missing_text_file_is_named(root, name):
    (root / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf'lacks {name} and has .*Unpack CUB_200_2011.tgz there'):
        CUB(str(root))


def test_a_wrong_folder_says_what_it_has(root):
    with pytest.raises(FileNotFoundError, match=r"lacks images.txt .* images/ and has \['CUB_200_2011'\].*data_root"):
        CUB(str(root.parent))
    with pytest.raises(FileNotFoundError, match='is no folder'):
        CUB(str(root / 'nowhere'))


def test_missing_images_are_counted(root):
    (root / 'images' / IMAGES[2][0]).unlink()
    with pytest.raises(FileNotFoundError, match=f'1 of 2 listed images are missing, first .*{IMAGES[2][0]}.*CUB_200'):
        CUB(str(root))


@pytest.mark.parametrize('content', ['1 1\n2 1\n', '1 1\n2 1\n3 2\n4', '1 1\n2 1\n3 2\n4 bird\n'])
def test_text_files_that_do_not_fit_together(root, content):
    (root / 'image_class_labels.txt').write_text(content)
    with pytest.raises(ValueError, match='do not fit together .*unpack CUB_200_2011.tgz again'):
        CUB(str(root), split='test')


def test_unknown_split(root):
    with pytest.raises(ValueError, match=r"split='val'; its splits are \['train', 'test'\]"):
        CUB(str(root), split='val')


def test_home_is_expanded(root, monkeypatch):
    monkeypatch.setenv('HOME', str(root.parent))
    assert len(CUB('~/CUB_200_2011')) == 2
