import json

import pytest
import torch

from looc_mm.evaluation import loop

LINEAR, ROTATION = dict(type='LinearProbe'), dict(type='RotationProbe')


def test_records_and_metrics(build_runner, tmp_path, capsys):
    metrics = build_runner(protocols=[LINEAR, dict(type='LinearProbe', label='shape'), ROTATION], seed=3).test()
    assert list(metrics) == ['linear/fake/top1', 'linear/fake/shape/top1', 'rotation/fake/top1']
    records = json.loads((tmp_path / 'results.json').read_text())
    assert [record['value'] for record in records] == list(metrics.values())
    first, second, third = records
    assert first.pop('value') > 60 and first.pop('seconds') >= 0
    assert first == {
        'protocol': 'linear',
        'dataset': 'fake',
        'representation': 'V',
        'metric': 'top1',
        'ci': None,
        'solver': 'lbfgs',
        'checkpoint': None,
        'seed': 3,
    }
    assert (second['factor'], third['factor'], third['protocol']) == ('shape', 'rotation', 'rotation')
    printed = capsys.readouterr().out
    assert 'V of random weights' in printed and f'{metrics["linear/fake/top1"]:.2f}' in printed


def test_features_are_extracted_once(build_runner, monkeypatch):
    calls = []
    extract = loop.extract_bank
    monkeypatch.setattr(loop, 'extract_bank', lambda *args: (calls.append(args[2]), extract(*args))[1])
    build_runner(protocols=[LINEAR, dict(type='LinearProbe', label='shape'), ROTATION]).test()
    assert calls == [None, None, 'random', 'all']


def test_several_datasets_in_one_pass_are_what_each_is_alone(build_runner, tmp_path):
    changes = [dict(length=9, seed=4), dict(length=5, seed=5), dict(seed=6)]
    loop = build_runner(protocols=[], cache=str(tmp_path / 'features')).test_loop
    for _ in range(2):  # extracted, then found
        together = loop.several('test', changes)
        assert len(list((tmp_path / 'features').iterdir())) == 1
    for change, found in zip(changes, together, strict=True):
        alone = loop.features('test', dataset=change)
        assert torch.allclose(found.x, alone.x, atol=1e-6)
        assert {key: value.tolist() for key, value in found.labels.items()} == {
            key: value.tolist() for key, value in alone.labels.items()
        }
    loop.several('test', [*changes[:2], dict(seed=7)])
    assert len(list((tmp_path / 'features').iterdir())) == 5, 'one of each alone, two of several'


@pytest.mark.parametrize('asked, recorded', [(['all'], ['invariant', 'rotation']), (['rotation'], ['rotation'])])
def test_spaces_in_place_of_v(build_runner, tmp_path, asked, recorded):
    build_runner(protocols=[LINEAR], representation=asked).test()
    assert json.loads((tmp_path / 'results.json').read_text())[0]['representation'] == recorded


def test_unknown_space(build_runner):
    with pytest.raises(ValueError, match=r"\['colour', 'rotation'\].*\['invariant', 'rotation'\]"):
        build_runner(protocols=[LINEAR], representation=['colour', 'rotation']).test()


def test_what_was_scored_before_an_error_is_kept(build_runner, tmp_path):
    with pytest.raises(ValueError, match="No label 'colour'"):
        build_runner(protocols=[LINEAR, dict(type='LinearProbe', label='colour')]).test()
    assert len(json.loads((tmp_path / 'results.json').read_text())) == 1
