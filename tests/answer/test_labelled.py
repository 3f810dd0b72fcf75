"""Folders as users have them."""

import pytest
import torch

from looc_mm.answer.labelled import Split, hold_out, read_labelled


@pytest.fixture
def make(tmp_path):
    """Files without content: nothing here decodes."""

    def write(**folders):
        for folder, names in folders.items():
            path = tmp_path.joinpath('pictures', *folder.split('__'))
            path.mkdir(parents=True)
            for name in names:
                (path / f'{name}.jpg').touch()
        return tmp_path / 'pictures'

    return write


def names(split):
    return [path.rsplit('/', 1)[1] for path in split.paths]


def test_a_folder_of_classes_is_split_by_class_and_seed(make):
    folder = make(cat=[f'c{i:02}' for i in range(20)], dog=[f'd{i}' for i in range(10)])
    data = read_labelled(folder)
    assert data.name == 'pictures' and data.classes == ('cat', 'dog') and '80 % and 20 %, seed 0' in data.note
    assert data.train.labels.bincount().tolist() == [16, 8] and data.test.labels.bincount().tolist() == [4, 2]
    assert sorted(names(data.train) + names(data.test)) == [*(f'c{i:02}.jpg' for i in range(20))] + [
        *(f'd{i}.jpg' for i in range(10))
    ]
    assert all(
        (name[0] == 'd') == label for name, label in zip(names(data.test), data.test.labels.tolist(), strict=True)
    )
    assert names(read_labelled(folder).test) == names(data.test) != names(read_labelled(folder, seed=1).test)


def test_given_folders_are_kept_and_classes_go_by_name(make):
    folder = make(train__b=['1'], train__a=['2', '3'], val__a=['4'], val__b=['5', '6'])
    data = read_labelled(folder)
    assert names(data.train) == ['2.jpg', '3.jpg', '1.jpg'] and data.train.labels.tolist() == [0, 0, 1]
    assert data.test.labels.tolist() == [0, 1, 1] and 'train and val' in data.note
    assert not {*data.train.groups.tolist()} & {*data.test.groups.tolist()}


def test_classes_that_are_missing_are_named_if_that_is_allowed(make):
    """Of a, b (empty), c, d in train, val has d and a: their numbers are those of train."""
    folder = make(train__a=['1'], train__b=[], train__c=['2'], train__d=['3', '4'], val__d=['5', '6'], val__a=['7'])
    with pytest.raises(ValueError, match="The train pictures lack 1 of 4 classes: 'b'"):
        read_labelled(folder)
    data = read_labelled(folder, allow_missing_classes=True)
    assert (data.classes, data.missing) == (('a', 'c', 'd'), ('b', 'c'))
    named = {name: data.classes[label] for name, label in zip(names(data.test), data.test.labels.tolist(), strict=True)}
    assert named == {'5.jpg': 'd', '6.jpg': 'd', '7.jpg': 'a'} and data.train.labels.tolist() == [0, 1, 2, 2]


def test_pictures_of_one_object_are_on_one_side(make):
    folder = make(
        cat=[f'{o}_{i}' for o in 'abcdefghij' for i in range(3)], dog=[f'{o}_{i}' for o in 'pqrst' for i in (1, 2)]
    )
    data = read_labelled(folder, group='([a-z])_')
    train, test = ({name[0] for name in names(split)} for split in (data.train, data.test))
    assert not train & test and len(test) == 3 and len(names(data.test)) == 8
    assert len(data.test.groups.unique()) == 3


def test_hold_out_takes_small_groups_before_it_takes_too_much():
    groups = torch.tensor([0] * 9 + [1])
    for seed in range(5):
        kept, held = hold_out(Split(['x'] * 10, torch.zeros(10, dtype=torch.int64), groups), ['cat'], seed)
        assert held.tolist() == [9] and kept.tolist() == list(range(9))


@pytest.mark.parametrize(
    ('folders', 'group', 'message'),
    [
        (dict(cat=['1', '2']), None, r"Got the classes \['cat'\].*at least 2"),
        (dict(cat=['1'], dog=[], owl=[]), None, "labelled pictures lack 2 of 3 classes: 'dog', 'owl'"),
        (
            dict(train__a=['1'], train__b=['1'], val__a=['1'], val__c=['1']),
            None,
            "classes without training pictures, which no classifier can know: 'c'. The val pictures have none of 'b'",
        ),
        (dict(cat=['1', '2'], dog=['1']), None, r"class 'dog' \(1 pictures, 1 groups\) cannot be split"),
        (dict(cat=['1', '2'], dog=['1']), '[0-9]', 'in parentheses'),
        (dict(cat=['1', '2'], dog=['1']), '(', 'Got the regex'),
        (dict(cat=['1', 'x'], dog=['1']), r'([0-9])\.', r"does not match the path 'cat/x.jpg'"),
        (
            dict(train__a=['1'], train__b=['2'], val__a=['3'], val__b=['2']),
            r'(\d)',
            r"in train and in val, such as \['2'\]",
        ),
    ],
)
def test_errors_name_what_is_wrong(make, folders, group, message):
    with pytest.raises(ValueError, match=message):
        read_labelled(make(**folders), group)


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match='no folder'):
        read_labelled(tmp_path / 'nothing')
