"""Configs are found by path and by name, and a wrong name is answered with what it may have been."""

from pathlib import Path

import pytest

from looc_mm.configs import config_names, find_config, is_config

FOLDER = Path(__file__).parents[1] / 'configs'


def test_every_config_has_its_name():
    families = [path for path in FOLDER.iterdir() if path.is_dir() and path.name != '_base_']
    files = {path for family in families for path in family.glob('*.py')}
    assert len(files) > 90
    assert {FOLDER / f'{name}.py' for name in config_names()} == files
    assert {find_config(name) for name in config_names()} == files


@pytest.mark.parametrize(
    'name',
    ['looc_factors', 'looc_factors.py', 'looc/looc_factors', 'looc/looc_factors.py', 'configs/looc/looc_factors.py'],
)
def test_a_name_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == FOLDER / 'looc/looc_factors.py'
    assert find_config(Path(name)) == FOLDER / 'looc/looc_factors.py'
    assert is_config(name)


def test_a_file_comes_first_and_keeps_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('looc_factors.py').touch()
    assert find_config('looc_factors.py') == Path('looc_factors.py')
    assert find_config(tmp_path / 'looc_factors.py') == tmp_path / 'looc_factors.py'


def test_several_configs_of_one_name():
    with pytest.raises(ValueError, match='2 configs are named imagenette: linear_eval/imagenette, robustness/imagen'):
        find_config('imagenette')
    assert find_config('robustness/imagenette') == FOLDER / 'robustness/imagenette.py'


@pytest.mark.parametrize(
    ('name', 'meant'),
    [
        ('loc_r18_imagenete', 'looc/looc_r18_imagenette'),
        ('moco/looc_factors', 'looc/looc_factors'),
        ('nowhere/configs/linear_evl/factors.py', 'linear_eval/factors'),
    ],
)
def test_an_unknown_name_is_told_what_is_close(name, meant):
    with pytest.raises(ValueError, match=f'There is no config {name}: .*Did you mean .*{meant}.*looc list configs'):
        find_config(name)


@pytest.mark.parametrize('name', ['xyzzy', '', '.', '_base_/default_runtime'])
def test_no_guess_where_nothing_is_close(name):
    with pytest.raises(ValueError, match='There is no config .*looc list configs') as error:
        find_config(name)
    assert 'Did you mean' not in str(error.value)


def test_what_is_a_config_and_what_a_checkpoint_or_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('looc_factors').mkdir()
    assert not is_config('looc_factors'), 'a folder of pictures, which happens to have the name'
    assert is_config('nowhere.py') and is_config('linear_eval/factors') and is_config('imagenette')
    assert not any(is_config(name) for name in ('epoch_1.pth', 'work_dirs/looc', 'torchvision://resnet50', '.', ''))
