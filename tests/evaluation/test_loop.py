import json
import re

import pytest
import torch

from looc_mm.evaluation import Protocol, Score, source
from looc_mm.evaluation.unwritable import writable_folder
from looc_mm.registry import PROTOCOLS

LINEAR, ROTATION = dict(type='LinearProbe', label='gt_label'), dict(type='RotationProbe')


def test_records_and_metrics(build_runner, tmp_path, capsys):
    metrics = build_runner(protocols=[LINEAR, dict(type='LinearProbe', label='shape'), ROTATION], seed=3).test()
    assert list(metrics) == ['linear/fake/top1', 'linear/fake/shape/top1', 'rotation/fake/top1']
    records = json.loads((tmp_path / 'results.json').read_text())
    assert [record['value'] for record in records] == list(metrics.values())
    first, second, third = records
    hashes = [[each.pop(name) for name in ('weights', 'data')] for each in records]
    assert all(each == hashes[0] and all(re.fullmatch('[0-9a-f]{16}', value) for value in each) for each in hashes)
    assert first.pop('value') > 60 and first.pop('seconds') >= 0
    assert first == {
        'protocol': 'linear',
        'dataset': 'fake',
        'representation': 'V',
        'metric': 'top1',
        'ci': None,
        'solver': 'lbfgs',
        'checkpoint': None,
        'experiment': None,
        'seed': 3,
    }
    assert (second['factor'], third['factor'], third['protocol']) == ('shape', 'rotation', 'rotation')
    printed = capsys.readouterr().out
    assert 'V of random weights' in printed and f'{metrics["linear/fake/top1"]:.2f}' in printed


def test_another_seed_or_run_adds_its_records_and_the_same_one_replaces_its_own(build_runner, tmp_path):
    def run(seed: int, scale: float = 1.0) -> dict[str, float]:
        runner = build_runner(protocols=[dict(type='FewShotProbe', label='gt_label', shots=(2,), trials=2)], seed=seed)
        runner.model.backbone[0].weight.data *= scale  # another training, whose work dir has the same name
        return runner.test()

    values = [run(seed, scale)['few_shot/fake/top1/2-shot'] for seed, scale in ((1, 1), (2, 1), (2, -1), (1, 1))]
    records = json.loads((tmp_path / 'results.json').read_text())
    assert [(each['seed'], each['value']) for each in records] == [(2, values[1]), (2, values[2]), (1, values[3])]
    assert len({each['weights'] for each in records}) == 2 and len({each['data'] for each in records}) == 1


def test_an_unreadable_file_of_results_costs_no_evaluation(build_runner, tmp_path, monkeypatch):
    (tmp_path / 'results.json').write_text('{')
    monkeypatch.setattr(source, 'extract', None)
    with pytest.raises(ValueError, match='results.json cannot be read as JSON'):
        build_runner(protocols=[LINEAR]).test()


def test_results_that_cannot_be_written_end_no_evaluation(build_runner, tmp_path, warnings_of, capsys):
    metrics = build_runner(protocols=[LINEAR]).test()
    (tmp_path / 'results.json').unlink()
    runner = build_runner(protocols=[LINEAR])
    runner._work_dir = '/dev/null'
    assert runner.test() == metrics
    assert warnings_of.pop().startswith('/dev/null/results.json or a figure beside it cannot be written: ')
    assert f'{metrics["linear/fake/top1"]:.2f}' in capsys.readouterr().out and not (tmp_path / 'results.json').exists()


def test_a_work_dir_that_cannot_be_written_is_replaced(tmp_path, warnings_of):
    assert writable_folder(tmp_path / 'a/b') == tmp_path / 'a/b' and not list((tmp_path / 'a/b').iterdir())
    assert not warnings_of
    other = writable_folder('/dev/null/a')
    assert other.is_dir() and not list(other.iterdir())
    assert re.fullmatch(
        rf'The folder /dev/null/a cannot be written: .*Logs and results go to {other}.*', warnings_of[0]
    )
    other.rmdir()


@pytest.mark.parametrize('value, ci', [(float('nan'), None), (1.0, float('inf'))])
def test_a_value_that_is_none_is_no_record(build_runner, tmp_path, monkeypatch, value, ci):
    """A mean of nothing is NaN, which is no JSON."""
    monkeypatch.setattr('looc_mm.evaluation.LinearProbe.evaluate', lambda *_: [Score('top1', value, ci)])
    with pytest.raises(ValueError, match='linear/fake/top1 is .* the protocol found nothing to take a mean of'):
        build_runner(protocols=[LINEAR]).test()
    assert not (tmp_path / 'results.json').exists()


def test_features_are_extracted_once(build_runner, monkeypatch):
    calls = []
    extract = source.extract
    monkeypatch.setattr(source, 'extract', lambda *args: (calls.append(args[2]), extract(*args))[1])
    build_runner(protocols=[LINEAR, dict(type='LinearProbe', label='shape'), ROTATION]).test()
    assert calls == [None, None, 'random', 'all']


def test_several_datasets_in_one_pass_are_what_each_is_alone(build_runner, tmp_path):
    changes = [dict(length=9, seed=4), dict(length=5, seed=5), dict(seed=6)]
    frozen = build_runner(protocols=[], cache=str(tmp_path / 'features')).test_loop.source
    for _ in range(2):  # extracted, then found
        together = frozen.several('test', changes)
        assert len(list((tmp_path / 'features').iterdir())) == 1
    for change, found in zip(changes, together, strict=True):
        alone = frozen.features('test', dataset=change)
        assert torch.allclose(found.x, alone.x, atol=1e-6)
        assert {key: value.tolist() for key, value in found.labels.items()} == {
            key: value.tolist() for key, value in alone.labels.items()
        }
    frozen.several('test', [*changes[:2], dict(seed=7)])
    assert len(list((tmp_path / 'features').iterdir())) == 5, 'one of each alone, two of several'


@pytest.mark.parametrize(
    'asked, recorded',
    [
        (['all'], [['invariant'], ['rotation']]),
        (['rotation'], [['rotation']]),
        (['invariant+rotation', 'V'], [['invariant', 'rotation'], 'V']),
    ],
)
def test_each_representation_is_scored(build_runner, tmp_path, asked, recorded):
    metrics = build_runner(protocols=[LINEAR, dict(type='Retrieval')], representation=asked).test()
    records = json.loads((tmp_path / 'results.json').read_text())
    linear = [each for each in records if each['protocol'] == 'linear']
    assert [each['representation'] for each in linear] == recorded
    for each in linear:
        alone = build_runner(protocols=[LINEAR], representation=['+'.join(each['representation'])]).test()
        assert list(alone.values()) == [each['value']]
    names = [name for name in metrics if name.startswith('linear')]
    several = [f'linear/fake/{"+".join(each)}/top1' for each in recorded]
    assert names == (several if len(recorded) > 1 else ['linear/fake/top1'])
    once = [(each['metric'], str(each['representation'])) for each in records if each['protocol'] == 'retrieval']
    assert once and len(once) == len(set(once)), 'what compares all representations runs once'


def test_unknown_space(build_runner):
    with pytest.raises(ValueError, match=r"\['colour', 'rotation'\].*\['invariant', 'rotation'\]"):
        build_runner(protocols=[LINEAR], representation=['colour', 'rotation']).test()


def test_what_was_scored_before_an_error_is_kept(build_runner, tmp_path):
    with pytest.raises(ValueError, match="No label 'colour'"):
        build_runner(protocols=[LINEAR, dict(type='LinearProbe', label='colour')]).test()
    assert len(json.loads((tmp_path / 'results.json').read_text())) == 1


def test_the_factors_of_a_dataset_one_by_one(build_runner, tmp_path):
    metrics = build_runner(protocols=[dict(type='KNNProbe', k=3)]).test()
    assert list(metrics) == ['knn/fake/top1', 'knn/fake/shape/top1']
    assert [each.get('factor') for each in json.loads((tmp_path / 'results.json').read_text())] == [None, 'shape']


def test_two_scores_with_one_name_are_an_error(build_runner, tmp_path):
    knn = dict(type='KNNProbe', label='shape')
    with pytest.raises(ValueError, match='Two scores are named knn/fake/shape/top1'):
        build_runner(protocols=[dict(**knn, k=3), dict(**knn, k=4)]).test()
    assert len(json.loads((tmp_path / 'results.json').read_text())) == 1, 'the first is kept'


@PROTOCOLS.register_module(force=True)
class NearestMean(Protocol):
    """Classify each test image by the nearest class mean; what docs show as an extension."""

    name = 'nearest_mean'
    in_all = False

    def evaluate(self, train, test, label):
        y = train.labels[label]
        classes = y.unique()
        means = torch.stack([train.x[y == c].mean(0) for c in classes])
        nearest = classes[torch.cdist(test.x, means).argmin(1)]
        yield Score('top1', 100 * (nearest == test.labels[label]).double().mean().item())


def test_a_protocol_is_one_method(build_runner, tmp_path):
    metrics = build_runner(protocols=[dict(type='NearestMean')], seed=4).test()
    assert list(metrics) == ['nearest_mean/fake/top1', 'nearest_mean/fake/shape/top1']
    record = json.loads((tmp_path / 'results.json').read_text())[1]
    assert (record['factor'], record['seed']) == ('shape', 4) and 'solver' not in record


@pytest.mark.parametrize('missing', [True, False])
def test_load_from_passes_the_checkpoint_reader(build_runner, tmp_path, missing):
    """MMEngine evaluates a network of which weights are missing, and only warns."""
    runner = build_runner(protocols=[LINEAR])
    state = {name: value + 0.1 for name, value in runner.model.state_dict().items()}
    if missing:
        del state['backbone.0.weight']
    torch.save({'state_dict': state}, tmp_path / 'other.pth')
    runner._load_from = str(tmp_path / 'other.pth')
    if missing:
        with pytest.raises(ValueError, match=r'other.pth does not fit the model: 5 of 6 backbone weights match'):
            runner.test()
        assert not (tmp_path / 'results.json').exists()
        return
    runner.test()
    assert torch.equal(runner.model.backbone[0].bias, state['backbone.0.bias'])
    (record,) = json.loads((tmp_path / 'results.json').read_text())
    assert record['checkpoint'] == str(tmp_path / 'other.pth')


def test_splits_and_datasets_that_are_not_there(build_runner, build_loader):
    frozen = build_runner(protocols=[]).test_loop.source
    with pytest.raises(ValueError, match=r"no split 'val'; there are \['train', 'test'\]"):
        frozen.features('val')
    given = source.FeatureSource(frozen.model, {'test': build_loader()}, name='fake')
    with pytest.raises(ValueError, match="dataset of 'test' cannot be changed"):
        given.features('test', dataset={'length': 3})
    assert given.image('test', 0).shape == (8, 8, 3)


def test_weights_that_change_need_new_features(build_runner):
    frozen = build_runner(protocols=[]).test_loop.source
    before = frozen.features('test').x
    torch.nn.init.normal_(frozen.model.backbone[0].weight)
    assert torch.equal(frozen.features('test').x, before)
    frozen.forget()
    assert not torch.equal(frozen.features('test').x, before)
