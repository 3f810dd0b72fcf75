import json

import pytest
import torch

from looc_mm.corruptions import GROUPS
from looc_mm.evaluation import LinearClassifier, RobustnessProbe

ALL = [name for group in GROUPS.values() for name in group]


def test_means_by_hand():
    top1 = torch.arange(75.0).view(15, 5)
    figures = RobustnessProbe(dataset={}).summary(top1)
    for row, name in enumerate(ALL):
        assert figures[name] == pytest.approx(sum(float(top1[row, s]) for s in range(5)) / 5)
    assert figures['noise'] == pytest.approx(sum(range(15)) / 15), 'three corruptions of five severities'
    assert figures['all'] == pytest.approx(37)
    hard = [5 * row + severity for row in range(15) for severity in (2, 3, 4)]
    assert figures['d>=3'] == pytest.approx(sum(hard) / 45), 'severities 3, 4 and 5'


def test_the_classifier_of_clean_images_on_corrupted_ones(build_runner, tmp_path):
    probe = dict(
        type='RobustnessProbe',
        label='gt_label',
        dataset=dict(type='FakeImages', length=22, seed=1),
        corruptions=['fog', 'snow'],
        severities=[1, 4],
    )
    runner = build_runner(protocols=[probe, dict(type='LinearProbe', label='gt_label')])
    metrics = runner.test()
    clean = metrics['linear/fake/top1']
    assert metrics['robustness/fake/top1/clean'] == clean
    assert metrics['robustness/fake/top1/snow at severity 1,4'] == pytest.approx(clean), 'fake snow does nothing'
    source = runner.test_loop.source
    train = source.features('train')
    fitted = LinearClassifier().fit(train.x, train.labels['gt_label'], 3)
    fog = []
    for severity in (1, 4):
        corrupted = source.features('test', dataset={**probe['dataset'], 'corruption': 'fog', 'severity': severity})
        hits = fitted.predict(corrupted.x).argmax(1) == corrupted.labels['gt_label']
        fog.append(100 * hits.double().mean().item())
    assert fog[1] <= clean
    assert metrics['robustness/fake/top1/fog at severity 1,4'] == pytest.approx(sum(fog) / 2, abs=1e-4)
    both = metrics['robustness/fake/top1/mean of 2 at severity 1,4']
    assert both == pytest.approx((sum(fog) / 2 + clean) / 2, abs=1e-4)
    names = {each['metric'].removeprefix('top1/') for each in json.loads((tmp_path / 'results.json').read_text())}
    assert not names & {'all', 'weather', 'd>=3', 'fog'}, (
        'a mean that lacks members does not have the name of the whole'
    )


@pytest.mark.parametrize('missing', ['nothing', 'a corruption', 'a severity'])
def test_a_mean_has_its_name_only_if_nothing_is_missing(missing):
    corruptions = ALL[1:] if missing == 'a corruption' else ALL
    severities = (1, 2, 3, 5) if missing == 'a severity' else (1, 2, 3, 4, 5)
    draw = torch.Generator().manual_seed(0)
    top1 = torch.rand(len(corruptions), len(severities), generator=draw, dtype=torch.float64)
    figures = RobustnessProbe({}, corruptions, severities).summary(top1)
    flat = [float(value) for row in top1 for value in row]
    mean = sum(flat) / len(flat)
    if missing == 'nothing':
        assert figures['all'] == pytest.approx(mean) and {*GROUPS, 'd>=3'} <= {*figures}
    elif missing == 'a corruption':
        assert figures['mean of 14'] == pytest.approx(mean)
        assert not {'noise', 'all', 'd>=3'} & {*figures} and {'blur', 'weather', 'digital'} <= {*figures}
    else:
        assert figures['all at severity 1,2,3,5'] == pytest.approx(mean)
        assert not any(name in figures for name in ('all', 'd>=3', *GROUPS, *ALL))


def test_corrupted_sets_of_unequal_size_are_refused(build_runner):
    class Sizes(RobustnessProbe):
        def __init__(self, **options):
            super().__init__(dict(type='FakeImages', seed=1), ['fog', 'snow'], [2], label='gt_label', **options)

    runner = build_runner(protocols=[])
    source = runner.test_loop.source
    found = [source.features('test'), source.features('test', dataset=dict(length=20))]
    source.several = lambda split, chosen: [found.pop()]
    with pytest.raises(ValueError, match='fog 2 has 20, snow 2 has 22'):
        list(Sizes().run(source))


def test_unknown_corruptions_are_refused():
    with pytest.raises(ValueError, match=r"\['rain'\]; known are \['gaussian_noise'"):
        RobustnessProbe(dataset={}, corruptions=['rain'])
    with pytest.raises(ValueError, match='a corruption twice'):
        RobustnessProbe(dataset={}, corruptions=['fog', 'fog'])
    for severities in ([0, 1], [1, 1], []):
        with pytest.raises(ValueError, match=r'allowed are \[1, 2, 3, 4, 5\]'):
            RobustnessProbe(dataset={}, severities=severities)
