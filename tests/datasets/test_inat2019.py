import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from looc_mm.datasets import INat2019, Part, checks, inat2019
from looc_mm.datasets.reallocate import choose
from looc_mm.registry import DATASETS

CATEGORIES = {7: 'Plants', 202: 'Birds', 31: 'Plants'}  # id -> super category, not sorted on purpose
TRAIN = {7: 25, 202: 10, 31: 14}
SPLIT_FILE = 'looc_split_0.1_seed0.json'


def write(root: Path, split: str, numbers: dict[int, int]) -> None:
    """Images and annotations as published: ids that are no positions, one annotation per image."""
    images, annotations = [], []
    for category, number in numbers.items():
        folder = Path('train_val2019', CATEGORIES[category], str(category))
        (root / folder).mkdir(parents=True, exist_ok=True)
        for row in range(number):
            name = folder / f'{split}{category:04}{row:04}.jpg'
            cv2.imwrite(str(root / name), np.zeros((30, 40, 3), np.uint8))
            id_ = 1000 * category + row
            images.append(
                {'id': id_, 'file_name': name.as_posix(), 'width': 40, 'height': 30, 'license': 0, 'rights_holder': ''}
            )
            annotations.append({'id': id_, 'image_id': id_, 'category_id': category})
    categories = [{'id': id_, 'name': f'{id_}', 'kingdom': '', 'genus': ''} for id_ in CATEGORIES]
    content = {'info': {}, 'images': images, 'categories': categories, 'annotations': annotations[::-1], 'licenses': []}
    (root / f'{split}2019.json').write_text(json.dumps(content))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / 'inat2019'
    write(folder, 'train', TRAIN)
    write(folder, 'val', dict.fromkeys(TRAIN, 3))
    return folder


@pytest.fixture(autouse=True)
def warnings(monkeypatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(checks, 'print_log', lambda message, **_: said.append(message))
    return said


def samples(dataset: INat2019) -> dict[str, int]:
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return {info['img_path']: info['gt_label'] for info in infos}


def test_the_official_split(root):
    train, val = (INat2019(str(root), split=split, reallocate=0) for split in ('train', 'val'))
    assert (len(train), len(val)) == (49, 9)
    assert not list(root.glob('looc_split*'))
    assert train.metainfo['classes'] == ('7', '31', '202')
    for path, label in {**samples(train), **samples(val)}.items():
        assert Path(path).is_file() and Path(path).parent.name == train.metainfo['classes'][label]


def test_a_tenth_of_every_class_moves_to_validation(root):
    train, val = (samples(INat2019(str(root), split=split)) for split in ('train', 'val'))
    assert not train.keys() & val.keys() and len(train) + len(val) == 58
    moved = {path: label for path, label in val.items() if Path(path).name.startswith('train')}
    assert len(moved) == round(4.9)
    assert Counter(moved.values()) == {0: 3, 1: 1, 2: 1}, '2.5, 1.4 and 1.0: the half is rounded up'
    assert all(path.split('/')[-2] == ('7', '31', '202')[label] for path, label in {**train, **val}.items())


def test_the_share_of_the_published_numbers():
    labels = {f'{label}/{row}': label for label, number in enumerate([16, 500, 203, 77]) for row in range(number)}
    chosen = Counter(labels[name] for name in choose(labels, 0.1, 0))
    assert sum(chosen.values()) == 80
    assert all(abs(chosen[label] - share) < 1 for label, share in enumerate([1.6, 50, 20.3, 7.7]))


def test_the_choice_depends_on_the_seed_and_on_nothing_else():
    labels = {f'{row}.jpg': row % 3 for row in range(90)}
    assert choose(labels, 0.1, 0) == choose(dict(reversed(labels.items())), 0.1, 0)
    assert choose(labels, 0.1, 0) != choose(labels, 0.1, 1)
    by_sha256sum = '0 14 22 23 4 42 53 54 70'  # of '0 <name>', the three smallest of each class
    assert choose(labels, 0.1, 0) == [f'{row}.jpg' for row in by_sha256sum.split()]


def test_the_split_is_written_down_and_obeyed(root):
    before = samples(INat2019(str(root)))
    saved = json.loads((root / SPLIT_FILE).read_text())
    assert {key: saved[key] for key in saved if key != 'moved'} == {'reallocate': 0.1, 'seed': 0, 'train': 49}
    assert sorted(path.name for path in root.iterdir()) == sorted([SPLIT_FILE, *inat2019.FILES[:2], 'train_val2019'])
    assert not {str(root / name) for name in saved['moved']} & before.keys()

    kept = next(iter(before)).removeprefix(f'{root}/')
    (root / SPLIT_FILE).write_text(json.dumps({**saved, 'moved': [kept]}))
    assert len(INat2019(str(root))) == 48 and str(root / kept) in samples(INat2019(str(root), split='val'))


def test_other_seeds_and_shares_have_files_of_their_own(root, tmp_path):
    INat2019(str(root))
    assert samples(INat2019(str(root), seed=1)) != samples(INat2019(str(root)))
    assert len(INat2019(str(root), reallocate=0.2)) == 39
    assert len(list(root.glob('looc_split*.json'))) == 3
    elsewhere = tmp_path / 'new/split.json'
    assert samples(INat2019(str(root), split_file=str(elsewhere))) == samples(INat2019(str(root)))
    with pytest.raises(ValueError, match=r"is of {'reallocate': 0.1, 'seed': 0, .*but {'reallocate': 0.1, 'seed': 5"):
        INat2019(str(root), seed=5, split_file=str(elsewhere))
    with pytest.raises(ValueError, match='but .*0.3.* is asked for'):
        INat2019(str(root), reallocate=0.3, split_file=str(elsewhere))


def test_a_split_of_another_training_set_is_refused(root):
    INat2019(str(root))
    saved = json.loads((root / SPLIT_FILE).read_text())
    (root / SPLIT_FILE).write_text(json.dumps({**saved, 'moved': ['a.jpg', *saved['moved']]}))
    with pytest.raises(ValueError, match='1 of its images are no training images'):
        INat2019(str(root))
    for content in ('{"seed":', '[]', '{"seed": 0}'):
        (root / SPLIT_FILE).write_text(content)
        with pytest.raises(ValueError, match='is no split file .*give another split_file'):
            INat2019(str(root))


def test_a_split_that_cannot_be_written(root):
    with pytest.raises(OSError, match=r'cannot be written down .*set split_file .*reallocate=0'):
        INat2019(str(root), split_file=str(root / 'train2019.json/split.json'))


def test_counts_are_checked(root, warnings, monkeypatch):
    assert sum(part.images for part in INat2019.published.values()) == 268_243
    INat2019(str(root))
    expected = ['265213 images, but 49', '3030 images, but 9', '1010 classes, but 3']
    assert all(text in said for text, said in zip(expected, warnings, strict=True))
    monkeypatch.setattr(INat2019, 'published', {'train': Part(49, 3), 'val': Part(9, 3)})
    INat2019(str(root))
    assert len(warnings) == 3


def test_the_config_reads_it(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    Path('data').symlink_to('.')
    cfg = Config.fromfile(Path(__file__).parents[2] / 'configs/linear_eval/inat2019.py')
    init_default_scope('looc_mm')
    for loader, number in ((cfg.test_dataloader, 14), (cfg.test_cfg.train_dataloader, 44)):
        dataset = DATASETS.build(loader.dataset)
        assert len(dataset) == number
        assert dataset[0]['inputs'].shape == (3, 224, 224) and dataset[0]['labels'].keys() == {'gt_label'}


@pytest.mark.parametrize('name', ['train2019.json', 'val2019.json'])
def test_a_missing_or_broken_annotation_file(root, name):
    content = json.loads((root / name).read_text())
    broken = [json.dumps(content)[:-9], '[]', json.dumps({**content, 'images': []}), '{"images": []}']
    broken.append(json.dumps({**content, 'categories': content['categories'][1:]}))
    for text in broken:
        (root / name).write_text(text)
        with pytest.raises(ValueError, match=rf'{name}.* is no COCO-style file .*unpack {name}.tar.gz again'):
            INat2019(str(root))
    (root / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf'lacks {name} and has .*val2019.json.tar.gz there'):
        INat2019(str(root))


def test_categories_that_differ_between_the_files(root):
    content = json.loads((root / 'val2019.json').read_text())
    content['categories'].append({'id': 8, 'name': '8'})
    (root / 'val2019.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match='have 3 and 4 categories, not the same ids'):
        INat2019(str(root))


def test_missing_images_are_counted(root):
    for path in sorted((root / 'train_val2019/Birds/202').iterdir()):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=r'10 of 49 listed images are missing.*Unpack train_val2019.tar.gz'):
        INat2019(str(root), reallocate=0)


def test_arguments_out_of_range(root):
    with pytest.raises(ValueError, match="split='test'"):
        INat2019(str(root), split='test')
    for share in (-0.1, 1):
        with pytest.raises(ValueError, match=f'reallocate={share}; it is a share'):
            INat2019(str(root), reallocate=share)
