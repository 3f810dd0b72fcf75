"""What looc pretrain says about a folder."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from looc_mm.datasets import ImageFolder
from looc_mm.pretraining.pictures import find_pictures


def picture(path: Path, height: int, width: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Four pictures at different depths, and files that are none."""
    root = tmp_path / 'mine'
    for name, height, width in [('a.JPG', 30, 40), ('b/c.png', 50, 20), ('b/d/e.jpg', 60, 70), ('f.jpg', 10, 80)]:
        picture(root / name, height, width)
    for name in ('notes.txt', 'b/list.csv', 'b/README', 'b/more.txt', '.hidden.jpg', '.cache/x.jpg'):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text('x')
    return root


def test_counts_by_ending(folder):
    found = find_pictures(folder)
    assert found.count == len(ImageFolder(str(folder)).load_data_list()) == 4
    assert found.endings == {'.jpg': 3, '.png': 1}
    assert found.passed_over == {'.txt': 2, '.csv': 1, '': 1}
    assert not found.split and found.folder == folder
    assert sorted(found.sizes) == [(20, 50), (40, 30), (70, 60), (80, 10)]
    assert found.short_side == 25
    lines = found.lines()
    assert lines['pictures'] == f'4 in {folder}: 3 .jpg, 1 .png'
    assert lines['left out'] == '2 .txt, 1 without ending, 1 .csv'
    assert lines['sizes'] == '55 x 40 px in the median; shorter sides 10 to 60 px (4 pictures looked at)'
    assert 'damaged' not in lines


def test_train_and_val(folder):
    picture(folder / 'train/cat/1.png', 32, 32)
    assert find_pictures(folder).count == 5, 'train alone is a folder like others'
    picture(folder / 'val/cat/2.png', 32, 32)
    found = find_pictures(folder)
    assert found.split and found.folder == folder / 'train' and found.count == 1
    assert found.lines()['pictures'] == f'1 in {folder / "train"}: 1 .png; val/ is left unseen, for looc test'


def test_damaged_pictures_are_named(folder):
    (folder / 'bad.jpg').write_bytes(b'no picture')
    lines = find_pictures(folder).lines()
    assert f'1 of these cannot be read, such as {folder / "bad.jpg"}: is not a picture' in lines['damaged']
    assert lines['damaged'].endswith('others replace such pictures, up to 1 % of all')
    assert lines['pictures'].startswith('5 in ')


def test_refusals(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder '.*nowhere'"):
        find_pictures(tmp_path / 'nowhere')
    (tmp_path / 'texts').mkdir()
    with pytest.raises(
        FileNotFoundError, match="'.*texts' holds no pictures, no file. Names of pictures end with .jpg"
    ):
        find_pictures(tmp_path / 'texts')
    (tmp_path / 'texts/a.heic').touch()
    with pytest.raises(FileNotFoundError, match='only 1 .heic'):
        find_pictures(tmp_path / 'texts')
    (tmp_path / 'texts/a.jpg').touch()
    with pytest.raises(ValueError, match="None of 1 pictures in '.*texts' can be read, such as .*a.jpg"):
        find_pictures(tmp_path / 'texts')
