"""The whole way on a small network and small pictures."""

import json

import pytest
import torch

from looc_mm.answer import answer
from looc_mm.answer.baselines import HISTOGRAM
from looc_mm.answer.combine import stacked
from looc_mm.checkpoint import random_weights
from looc_mm.cli import main
from looc_mm.evaluation import LinearClassifier
from looc_mm.export import get_features

from ..test_export import NARROW, build, config
from .tiny import COLORS, make_pictures, make_run


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp('work') / 'looc')


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp('data') / 'colors')


@pytest.fixture(scope='module')
def result(run, pictures):
    return answer(run, pictures, device='cpu')


def test_rows_and_files(result, run):
    assert [each.name for each in result.rows] == [
        *('random weights', HISTOGRAM, 'HOG', 'colour histogram + HOG', 'V', 'Z_invariant', 'Z_rotation', 'Z_color'),
        'all spaces',
        *('V + Z_rotation', 'V + Z_color', 'V + colour histogram', 'V + HOG', 'V + colour histogram + HOG'),
    ]
    rows = {each.name: each for each in result.rows}
    assert rows[HISTOGRAM].linear == 100 and rows[HISTOGRAM].knn == 100 and rows[HISTOGRAM].linear_interval[0] < 90
    assert [rows[name].width for name in ('V', 'all spaces', 'V + colour histogram + HOG')] == [64, 24, 64 + 256 + 1323]
    assert rows['colour histogram + HOG'].width == 256 + 1323
    assert [name for name, each in rows.items() if not each.learnt] == ['Z_rotation', 'V + Z_rotation']
    assert result.not_learnt == ['rotation'] and result.guess == pytest.approx(100 / 3)
    assert (result.train, result.test, result.groups, result.epoch) == (36, 18, 18, 3)
    saved = json.loads((run / 'answer_colors' / 'answer.json').read_text())
    assert saved['sentence'] == result.sentence and len(saved['rows']) == 14
    assert (run / 'answer_colors' / 'answer.png').stat().st_size > 20_000


def test_the_size_is_chosen_on_training_pictures(result):
    assert list(result.sizes) == [32, 48, 64]
    assert result.sizes[result.size] == max(result.sizes.values())
    assert result.size == next(size for size, value in result.sizes.items() if value == max(result.sizes.values()))


def test_v_is_the_v_of_the_other_commands(result, run, pictures):
    """By get_features and a classifier fitted here."""
    files = {split: sorted((pictures / split).rglob('*.png')) for split in ('train', 'val')}
    x = {
        split: get_features(run / 'epoch_3.pth', each, size=result.size, device='cpu') for split, each in files.items()
    }
    y = {split: torch.tensor([[*COLORS].index(file.parent.name) for file in each]) for split, each in files.items()}
    fitted = LinearClassifier().fit(x['train'], y['train'], 3)
    expected = 100 * (fitted.predict(x['val']).argmax(1) == y['val']).double().mean().item()
    assert next(each for each in result.rows if each.name == 'V').linear == pytest.approx(expected)


def test_table(result):
    text = result.table()
    assert 'Z_rotation (not learnt)' in text and 'Not learnt by the end of the training: rotation.' in text
    assert f'Views of {result.size} px, the best for V on a held-out fifth' in text
    assert text.endswith(result.sentence)


def test_stacked_parts_have_equal_weight():
    draw = torch.Generator().manual_seed(0)
    wide, narrow = 9 * torch.randn(50, 12, generator=draw) + 4, torch.randn(50, 3, generator=draw)
    narrow[:, 0] = 7  # a dead channel
    got = stacked([{'train': wide, 'test': wide[:5]}, {'train': narrow, 'test': narrow[:5]}])
    squares = got['train'].square().sum(1).mean()
    assert got['train'].shape == (50, 15) and torch.equal(got['train'][:5], got['test'])
    assert got['train'][:, :12].square().sum(1).mean() == pytest.approx(7.5, rel=1e-4)
    assert got['train'][:, 12:].square().sum(1).mean() == pytest.approx(7.5 * 2 / 3, rel=1e-4)
    assert squares == pytest.approx(7.5 + 5, rel=1e-4)


def test_too_few_pictures_are_named(run, pictures, tmp_path):
    for name in ('one', 'two'):
        (tmp_path / name).mkdir()
        for index in range(20 if name == 'one' else 5):
            (tmp_path / name / f'{index}.png').symlink_to(pictures / 'train' / 'red' / f'{index % 12}.png')
    with pytest.raises(ValueError, match=r'at least 5 training pictures; these have fewer: two \(4\)'):
        answer(run, tmp_path, out=tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_random_weights_read_no_file():
    backbone = {
        **NARROW,
        'init_cfg': [dict(type='Pretrained', checkpoint='nothing.pth'), dict(type='Kaiming', layer='Conv2d')],
    }
    model = build(config(backbone, 64))
    before = model.backbone.conv1.weight.clone()
    assert not torch.equal(random_weights(model).backbone.conv1.weight, before)


def test_the_command_takes_a_run_and_a_folder(run, pictures, tmp_path, capsys):
    assert main(['test', str(run), str(pictures), '--sizes', '32', '--work-dir', str(tmp_path)]) == 0
    printed = capsys.readouterr().out.strip()
    saved = json.loads((tmp_path / 'answer.json').read_text())
    assert printed.endswith(saved['sentence']) and saved['size'] == 32 and saved['sizes'] == {}


@pytest.mark.parametrize('words', [['--protocols', 'knn'], ['--spaces', 'all'], ['--cfg-options', 'a=1']])
def test_options_of_a_config_are_refused(run, pictures, words):
    with pytest.raises(SystemExit):
        main(['test', str(run), str(pictures), *words])


def test_options_of_a_folder_are_refused_with_a_config(run):
    with pytest.raises(SystemExit):
        main(['test', 'linear_eval/imagenette', str(run / 'epoch_3.pth'), '--group', '(x)'])
