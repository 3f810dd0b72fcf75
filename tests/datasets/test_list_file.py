"""A list of pictures is read in its order, wherever it is."""

import os

import cv2
import numpy as np
import pytest

from looc_mm.datasets import ImageFolder
from looc_mm.datasets.list_file import is_list, read_list
from looc_mm.export import list_images
from looc_mm.pretraining.pictures import find_pictures


@pytest.fixture
def root(tmp_path):
    for name in ('b/1.png', 'a/with, comma.png', 'a/2.png', 'a/notes.txt'):
        path = tmp_path / 'pictures' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path.with_suffix('.png')), np.full((9, 12, 3), len(name), np.uint8))
        path.touch()
    return tmp_path


def write(root, name, *lines, encoding='utf-8', ending='\n'):
    path = root / name
    path.write_bytes(ending.join([*lines, '']).encode(encoding))
    return path


@pytest.mark.parametrize('ending', ['\n', '\r\n'])
@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig'])
def test_paths_are_relative_to_the_list(root, monkeypatch, ending, encoding):
    absolute = str(root / 'pictures/a/2.png')
    lines = ['pictures/b/1.png', '', '  pictures/a/../a/with, comma.png ', absolute]
    expected = [str(root / 'pictures' / name) for name in ('b/1.png', 'a/with, comma.png', 'a/2.png')]
    path = write(root, 'list.txt', *lines, encoding=encoding, ending=ending)
    assert read_list(path) == expected
    monkeypatch.chdir(root / 'pictures')
    assert read_list('../list.txt') == expected
    monkeypatch.setenv('HOME', str(root))
    assert read_list(write(root, 'home.txt', '~/pictures/b/1.png')) == expected[:1]
    rows = ['pictures/b/1.png,3,cat', '', '"pictures/a/with, comma.png",4,dog', f'{absolute},5,"a\nb"']
    assert read_list(write(root, 'list.CSV', *rows, encoding=encoding, ending=ending)) == expected


def test_what_a_list_may_not_have(root):
    with pytest.raises(FileNotFoundError, match=r"There is no list 'none.txt'"):
        read_list('none.txt')
    with pytest.raises(FileNotFoundError, match='lists no picture'):
        read_list(write(root, 'list.txt', '', ' '))
    with pytest.raises(ValueError, match=r"line 3 lists the picture of line 1 again: '\./a.png'"):
        read_list(write(root, 'list.txt', 'a.png', 'b.png', './a.png'))
    with pytest.raises(ValueError, match='no list of pictures.*Save it as text in UTF-8'):
        read_list(write(root, 'list.txt', 'ä.png', encoding='latin-1'))


def test_a_list_is_known_by_its_ending(root):
    (root / 'folder.txt').mkdir()
    assert is_list('a.txt') and is_list(root / 'b.CSV')
    assert not is_list(root / 'folder.txt') and not is_list(root) and not is_list('a.png')


def test_a_dataset_of_a_list(root):
    path = write(root, 'list.txt', 'pictures/b/1.png', 'pictures/a/2.png')
    expected = [str(root / 'pictures' / name) for name in ('b/1.png', 'a/2.png')]
    assert [sample['img_path'] for sample in ImageFolder(str(path))] == expected == list_images(path)
    with pytest.raises(ValueError, match=r'with_label=True and the list.*ann_file'):
        ImageFolder(str(path), with_label=True)
    with pytest.raises(FileNotFoundError, match='There is no list'):
        list_images(root / 'none.txt')


def test_the_pictures_of_a_list_are_counted_and_measured(root):
    path = write(root, 'list.csv', 'pictures/b/1.png', 'pictures/a/2.png', 'pictures/gone.jpg')
    found = find_pictures(path)
    assert (found.folder, found.split, found.count) == (path, False, 3)
    assert found.endings == {'.png': 2, '.jpg': 1} and list(found.sizes) == [(12, 9)] * 2
    assert list(found.unreadable) == [str(root / 'pictures/gone.jpg')]
    with pytest.raises(FileNotFoundError, match=r'or a list \(\.txt, \.csv\)'):
        find_pictures(root / 'none')
    os.remove(root / 'pictures/b/1.png')
    os.remove(root / 'pictures/a/2.png')
    with pytest.raises(ValueError, match='None of 3 pictures'):
        find_pictures(path)
