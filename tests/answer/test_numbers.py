"""Numbers of pictures, the whole way on a small network."""

import json

import cv2
import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_absolute_error, r2_score

from looc_mm.answer import answer_values
from looc_mm.answer.compare import ERRORS, conclude
from looc_mm.answer.values import read_values
from looc_mm.cli import main
from looc_mm.evaluation.ridge import ALPHAS
from looc_mm.export import get_features

from .tiny import make_run


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp('work') / 'looc')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """60 pictures of noise, whose number is their brightness."""
    root = tmp_path_factory.mktemp('data') / 'grey'
    root.mkdir()
    draw = np.random.default_rng(0)
    lines = ['path,light']
    for index in range(60):
        light = draw.uniform(70, 180)
        cv2.imwrite(str(root / f'{index}.png'), (light + draw.normal(0, 20, (32, 32, 3))).clip(0, 255).astype(np.uint8))
        lines.append(f'{index}.png,{light:.2f}')
    (root / 'light.csv').write_text('\n'.join(lines))
    return root


def test_the_command(run, folder, capsys):
    file = f'{folder / "light.csv"}:light'
    assert main(['test', str(run), str(folder), '--values', file, '--sizes', '32']) == 0
    printed = capsys.readouterr().out
    saved = json.loads((run / 'answer_grey' / 'values_light.json').read_text())
    assert printed.strip().endswith(saved['sentence']) and 'light: 48 training and 12 test pictures' in printed
    assert 'Z_rotation (not learnt)' in printed
    rows = {each['name']: each for each in saved['rows']}
    assert rows['V']['p'] is None and rows['HOG']['verdict'] in ('better', 'no difference', 'worse')

    data = read_values(folder, file)
    x = {split: get_features(run / 'epoch_3.pth', getattr(data, split).paths, size=32) for split in ('train', 'test')}
    mean, std = x['train'].double().mean(0), x['train'].double().std(0, correction=0)
    std[std < 1e-9] = torch.inf
    fitted = RidgeCV(alphas=ALPHAS).fit((x['train'] - mean) / std, data.train.labels)
    expected = fitted.predict((x['test'] - mean) / std)
    assert rows['V']['r2'] == pytest.approx(r2_score(data.test.labels, expected), abs=1e-3)
    assert rows['V']['error'] == pytest.approx(mean_absolute_error(data.test.labels, expected), abs=1e-2)
    assert rows['V']['r2_interval'][0] < rows['V']['r2'] < rows['V']['r2_interval'][1]
    guess = mean_absolute_error(data.test.labels, [data.train.labels.mean()] * 12)
    assert saved['guess'] == pytest.approx(guess)


def test_the_size_is_chosen_on_training_pictures(run, folder, tmp_path):
    found = answer_values(run, folder, f'{folder / "light.csv"}:light', tmp_path, device='cpu')
    assert [*found.sizes] == [32, 48, 64] and found.sizes[found.size] == min(found.sizes.values())
    assert (tmp_path / 'values_light.json').exists()
    assert f'Views of {found.size} px, the best for V on training pictures that are left out in turn' in found.table()


def test_sentences_show_errors():
    actual = torch.arange(40.0)
    names = ['random weights', 'colour histogram', 'HOG', 'colour histogram + HOG', 'V', 'Z_color']
    groups = torch.arange(40)

    def close(**sizes):
        return {name: -torch.full((40,), float(sizes.get(name.partition(' ')[0], 5))) for name in names}

    guess = -(actual - actual.mean()).abs()
    assert conclude(close(V=2), guess, groups, ERRORS).sentence == (
        'Use V: error 2 against error 5 for random weights; nothing is better than V beyond chance.'
    )
    assert (
        conclude(close(V=2, Z_color=1), guess, groups, ERRORS).sentence == 'Use Z_color: error 1 against error 2 for V.'
    )
    none = conclude(dict.fromkeys(names, 1.2 * guess), guess, groups, ERRORS)
    assert none.sentence.startswith(
        'Nothing beats guessing the mean of the training pictures beyond chance (error 10):'
    )


def test_options_that_do_not_fit(run, folder):
    file = str(folder / 'light.csv')
    for words in (
        [str(run), str(folder), '--values', file, '--allow-missing-classes'],
        ['linear_eval/imagenette', str(run / 'epoch_3.pth'), '--values', file],
    ):
        with pytest.raises(SystemExit):
            main(['test', *words])


def test_a_mistake_is_a_message(run, folder, capsys):
    assert main(['test', str(run), str(folder), '--values', str(folder / 'light.csv')]) == 2
    assert "light.csv has no column 'value'; its columns are ['path', 'light']" in capsys.readouterr().err
