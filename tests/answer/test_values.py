"""A column of numbers beside pictures."""

import re

import pytest
import torch

from looc_mm.answer.values import parse, read_column, read_values


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / 'faces'
    root.mkdir()
    for index in range(40):
        (root / f'{index % 10}_{index}.png').write_bytes(b'')
    return root


def write(tmp_path, rows, head='path,age'):
    file = tmp_path / 'ages.csv'
    file.write_text('\n'.join([head, *rows]) + '\n')
    return file


def rows(folder, value=lambda index: index / 4):
    return [f'{path.name},{value(index)}' for index, path in enumerate(sorted(folder.iterdir()))]


def test_a_fifth_is_held_out(folder, tmp_path):
    file = write(tmp_path, rows(folder)[:30])  # pictures without a row are left out
    data = read_values(folder, f'{file}:age')
    assert (len(data.train.paths), len(data.test.paths)) == (24, 6) and data.note == 'split here, 80 % and 20 %, seed 0'
    assert data.name == 'faces_age' and data.classes == ('age',)
    expected = {str(folder / row.split(',')[0]): float(row.split(',')[1]) for row in rows(folder)[:30]}
    for split in (data.train, data.test):
        assert split.labels.dtype == torch.double
        assert split.labels.tolist() == [expected[path] for path in split.paths]
    assert {*data.train.paths} | {*data.test.paths} == {*expected}
    assert read_values(folder, f'{file}:age').test.paths == data.test.paths
    assert read_values(folder, f'{file}:age', seed=1).test.paths != data.test.paths


def test_groups_stay_together(folder, tmp_path):
    data = read_values(folder, f'{write(tmp_path, rows(folder))}:age', group=r'(\d+)_')
    people = [{path.rpartition('/')[2].split('_')[0] for path in split.paths} for split in (data.train, data.test)]
    assert not people[0] & people[1] and len(people[1]) == 2
    assert len(data.test.groups.unique()) == 2 and 'groups of' in data.note


def test_folders_train_and_val_are_the_splits(folder, tmp_path):
    for top in ('train', 'val'):
        (folder / top).mkdir()
    names = [f'{"val" if index < 6 else "train"}/{index}.png' for index in range(20)]
    for name in names:
        (folder / name).write_bytes(b'')
    file = write(tmp_path, [f'{name},{index}' for index, name in enumerate(names)])
    data = read_values(folder, f'{file}:age')
    assert data.test.labels.tolist() == [0, 1, 2, 3, 4, 5] and len(data.train.paths) == 14
    with pytest.raises(ValueError, match=r'are in train and in val. Move each group'):
        read_values(folder, f'{file}:age', group=r'(\d)\.png')


def test_the_column_is_value_by_default(folder, tmp_path):
    file = write(tmp_path, rows(folder), 'path,value')
    assert parse(str(file)) == (file, 'value') and parse(f'{file}:age of') == (file, 'age of')
    assert read_values(folder, str(file)).classes == ('value',)


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda lines: lines + ['gone.png,3'], "ages.csv names 1 pictures that are not in .*, such as 'gone.png'"),
        (
            lambda lines: [*lines[:2], '2_2.png,old'],
            "ages.csv, line 4: 'age' of '2_2.png' is 'old', which is no",
        ),
        (lambda lines: [*lines[:2], '2_2.png,nan'], "line 4: 'age' of '2_2.png' is 'nan', which is no number"),
        (lambda lines: [*lines[:2], '2_2.png'], "line 4: 'age' of '2_2.png' is None, which is no number"),
        (lambda lines: lines + lines[:1], "ages.csv, line 42: '0_0.png' comes twice"),
        (lambda lines: [], 'ages.csv has no rows'),
        (lambda lines: [line.split(',')[0] + ',7' for line in lines], "'age' of ages.csv has one value in all 40 rows"),
        (lambda lines: lines[:9], 'ages.csv has 9 pictures of 9 groups; give at least 10'),
    ],
)
def test_each_mistake_has_an_error(folder, tmp_path, change, message):
    file = write(tmp_path, change(rows(folder)))
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read_values(folder, f'{file}:age')


def test_files_and_columns_that_do_not_exist(folder, tmp_path):
    file = write(tmp_path, rows(folder))
    with pytest.raises(ValueError, match=re.escape("ages.csv has no column 'value'; its columns are ['path', 'age']")):
        read_values(folder, str(file))
    with pytest.raises(ValueError, match="has no column 'path'"):
        read_column(write(tmp_path, ['a,1'], 'file,age'), 'age')
    with pytest.raises(FileNotFoundError, match=r'There is no file .*none.csv'):
        read_values(folder, f'{tmp_path / "none.csv"}:age')
    with pytest.raises(FileNotFoundError, match='There is no folder'):
        read_values(tmp_path / 'none', str(file))


def test_one_value_in_the_test_pictures(folder, tmp_path):
    file = write(tmp_path, rows(folder, lambda index: int(index == 7)))
    with pytest.raises(ValueError, match="(training|test) pictures have one value of 'age', 0"):
        read_values(folder, f'{file}:age')
