"""Values of the command line arrive as they were typed."""

from pathlib import Path

import pytest
from mmengine.config import Config

from looc_mm.config_check.options import Options, data_root_options, merge_options, parse

ROOT = Path(__file__).parents[2] / 'configs'


def merged(name: str, *words: str) -> Config:
    config, options = Config.fromfile(ROOT / f'{name}.py'), Options()
    for word in words:
        options.add(word)
    merge_options(config, options)
    return config


@pytest.mark.parametrize('folder', ['my pictures', 'a, b', '2024', '0.5', 'true', 'None', '[x]', "it's", '', 'a=b'])
def test_a_text_stays_as_it_was_typed(folder):
    dataset = merged('looc/looc_r50_folder', f'train_dataloader.dataset.data_root={folder}').train_dataloader.dataset
    assert dataset.data_root == folder


@pytest.mark.parametrize(
    ('word', 'value'),
    [
        ('work_dir=runs/opt run', 'runs/opt run'),
        ('work_dir="runs/opt run"', 'runs/opt run'),
        ('work_dir=2024', '2024'),
        ('experiment_name=007', '007'),
        ('load_from=None', None),
        ('load_from=1e3', '1e3'),
        ('train_dataloader.dataset.data_prefix=1', '1'),
    ],
)
def test_arguments_that_take_a_text(word, value):
    key = word.partition('=')[0]
    assert merged('looc/looc_r18_imagenette', word).get(key, 0) == value if '.' not in key else True
    if '.' in key:
        assert merged('looc/looc_r18_imagenette', word).train_dataloader.dataset.data_prefix == value


def test_other_values_are_read_as_before():
    words = [
        'model.momentum=0.5',
        'resume=true',
        'param_scheduler=[]',
        'model.head.temperature=1e-1',
        'randomness.seed=None',
    ]
    config = merged('looc/looc_factors', *words)
    assert (config.model.momentum, config.resume, config.param_scheduler) == (0.5, True, [])
    assert (config.model.head.temperature, config.randomness.seed) == (0.1, None)


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('[1, 2]', [1, 2]),
        ('1,2', [1, 2]),
        ('[a b, c]', ['a b', 'c']),
        ('[(1, 2), x y]', [(1, 2), 'x y']),
        ('"a b"', 'a b'),
        (' 3 ', 3),
        ('False', False),
    ],
)
def test_parse(text, value):
    assert parse(text) == value


def test_words_that_are_none():
    options = Options()
    with pytest.raises(ValueError, match='KEY="a b"'):
        options.add('pictures')
    with pytest.raises(ValueError, match='brackets that do not match'):
        options.add('a=[1,(2]')


def test_python_values_are_taken_as_they_are():
    config = Config.fromfile(ROOT / 'looc/looc_r50_folder.py')
    merge_options(config, {'train_dataloader.dataset.data_root': 'my pictures', 'work_dir': 'a b', 'x.y': [1]})
    assert config.train_dataloader.dataset.data_root == 'my pictures' and config.x.y == [1]


def test_no_workers_need_no_persistent_ones():
    config = merged('looc/looc_factors', 'train_dataloader.num_workers=0')
    assert 'persistent_workers' not in config.train_dataloader
    assert merged('looc/looc_factors').train_dataloader.persistent_workers
    config = merged('looc/looc_factors', 'train_dataloader.num_workers=0', 'train_dataloader.persistent_workers=True')
    assert config.train_dataloader.persistent_workers, 'who asks for both gets the error of PyTorch'


def test_data_root():
    folder = Config.fromfile(ROOT / 'looc/looc_r50_folder.py')
    key = 'train_dataloader.dataset.data_root'
    assert data_root_options(folder, 'my pictures', 'train_dataloader') == {key: 'my pictures'}
    assert data_root_options(folder, None, 'train_dataloader') == {}
    labelled = Config.fromfile(ROOT / 'linear_eval/folder.py')
    assert data_root_options(labelled, 'my labels', 'test_dataloader', 'test_cfg.train_dataloader') == {
        'test_dataloader.dataset.data_root': str(Path('my labels/val')),
        'test_cfg.train_dataloader.dataset.data_root': str(Path('my labels/train')),
    }
    with pytest.raises(ValueError, match='train_dataloader.dataset.data_root.*Factors.* has none'):
        data_root_options(Config.fromfile(ROOT / 'looc/looc_factors.py'), 'x', 'train_dataloader')
