"""Labels mean the same in all splits: classes are found by their names."""

import cv2
import numpy as np
import pytest
import torch

from looc_mm.datasets import Factors, ImageFolder
from looc_mm.datasets.classes import Classes, class_names, classes_of, match_classes, renumber


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


def match(train, other, split='val', **options):
    return match_classes(classes_of(train), classes_of(other), split, **options)


def test_equal_names(folder):
    assert match(folder('train', 'a', 'b'), folder('val', 'b', 'a')) == []


@pytest.mark.parametrize('empty', [(), ('a', 'c')])
def test_classes_that_are_missing_or_empty(folder, empty):
    train, val = folder('train', 'a', 'b', 'c', 'd'), folder('val', 'b', 'd', empty=empty)
    with pytest.raises(ValueError, match="The val pictures lack 2 of 4 classes: 'a', 'c'.*--allow-missing-classes"):
        match(train, val)
    assert match(train, val, allow_missing=True) == ['a', 'c']
    labels = torch.tensor([val.get_data_info(index)['gt_label'] for index in range(2)])
    assert labels.tolist() == ([1, 3] if empty else [0, 1]), 'as the folder numbers them'
    assert renumber(labels, class_names(val), class_names(train)).tolist() == [1, 3]


def test_a_class_that_was_renamed_is_refused_whatever_is_allowed(folder):
    train, val = folder('train', 'a', 'b'), folder('val', 'a', 'bird')
    with pytest.raises(ValueError, match="without training pictures.*'bird'. The val pictures have none of 'b'"):
        match(train, val, allow_missing=True)


def test_a_class_without_training_pictures_is_refused_only_if_it_has_others(folder):
    train = folder('train', 'a', 'c', empty=('b',))
    same = classes_of(train)
    with pytest.raises(ValueError, match="The train pictures lack 1 of 3 classes: 'b'"):
        match_classes(same, same, 'train')
    assert match_classes(same, same, 'train', allow_missing=True) == ['b']
    with pytest.raises(ValueError, match="classes without training pictures, which no classifier can know: 'b'"):
        match(train, folder('val', 'a', 'b', 'c'), allow_missing=True)
    assert match(train, folder('test', 'a', 'c', empty=('b',))) == []


def test_a_split_without_any_class_is_refused():
    train, nothing = Classes(('a', 'b'), frozenset({0, 1})), Classes(('a', 'b'), frozenset())
    with pytest.raises(ValueError, match='lack 2 of 2 classes'):
        match_classes(train, nothing, allow_missing=True)


def test_names_on_one_side_only_are_refused():
    class Named:
        metainfo = {'classes': ('a', 'b')}

    with pytest.raises(
        ValueError, match='The train pictures have names of their classes and the val pictures have none'
    ):
        match(Named(), object())
    assert match(object(), object()) == []


def test_another_order_is_renumbered():
    names = ['b', 'c', 'a']
    assert renumber(torch.tensor([0, 1, 2, 2]), names, ['a', 'b', 'c']).tolist() == [1, 2, 0, 0]
    assert renumber(torch.tensor([0, 2]), names, None).tolist() == [0, 2]


@pytest.mark.parametrize('label', [-1, 3])
def test_a_number_that_is_no_class_is_no_index(label):
    """-1 would find the last class."""
    with pytest.raises(ValueError, match='for 3 class names; allowed are 0 to 2'):
        renumber(torch.tensor([0, label]), ['a', 'b', 'c'], ['c', 'b', 'a'])


def test_factors_name_each_of_their_labels():
    factors = Factors(4, target='color')
    assert class_names(factors)[0] == 'red' == class_names(factors, 'color')[0] != class_names(factors, 'shape')[0]
    assert classes_of(factors).filled is None, 'a list of its labels would draw every picture'
