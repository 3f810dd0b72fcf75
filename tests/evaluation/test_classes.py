"""Labels mean the same in both splits."""

import cv2
import numpy as np
import pytest

from looc_mm.datasets import ImageFolder
from looc_mm.evaluation.classes import check_same_classes


@pytest.fixture
def folder(tmp_path):
    def make(split: str, *names: str, empty: tuple[str, ...] = ()) -> ImageFolder:
        for name in names:
            (tmp_path / split / name).mkdir(parents=True)
            cv2.imwrite(str(tmp_path / split / name / 'picture.png'), np.zeros((8, 8, 3), np.uint8))
        for name in empty:
            (tmp_path / split / name).mkdir(parents=True)
        return ImageFolder(str(tmp_path / split), with_label=True)

    return make


def test_equal_names(folder):
    check_same_classes(folder('train', 'a', 'b'), folder('val', 'b', 'a'))


def test_a_class_that_is_missing_in_the_test(folder):
    """Without it the others would move up by one, and a perfect classifier would score zero."""
    with pytest.raises(ValueError, match="only the train pictures have 'a'. .*make an empty folder of its name"):
        check_same_classes(folder('train', 'a', 'b', 'c'), folder('val', 'b', 'c'))


def test_an_empty_folder_keeps_the_numbers(folder):
    test = folder('val', 'b', 'c', empty=('a',))
    check_same_classes(folder('train', 'a', 'b', 'c'), test)
    assert [test.get_data_info(index)['gt_label'] for index in range(2)] == [1, 2]


def test_a_class_that_was_renamed(folder):
    with pytest.raises(ValueError, match="only the train pictures have 'b'; only the test pictures have 'bird'"):
        check_same_classes(folder('train', 'a', 'b'), folder('val', 'a', 'bird'))


def test_another_order():
    class Named:
        def __init__(self, *names):
            self.metainfo = {'classes': names}

    with pytest.raises(ValueError, match='the order differs'):
        check_same_classes(Named('a', 'b'), Named('b', 'a'))
    check_same_classes(Named('a', 'b'), object())
