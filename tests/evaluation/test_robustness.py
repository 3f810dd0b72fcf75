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
    assert metrics['robustness/fake/top1/snow'] == pytest.approx(clean), 'fake snow does nothing'
    source = runner.test_loop.source
    train = source.features('train')
    fitted = LinearClassifier().fit(train.x, train.labels['gt_label'], 3)
    fog = []
    for severity in (1, 4):
        corrupted = source.features('test', dataset={**probe['dataset'], 'corruption': 'fog', 'severity': severity})
        hits = fitted.predict(corrupted.x).argmax(1) == corrupted.labels['gt_label']
        fog.append(100 * hits.double().mean().item())
    assert fog[1] <= clean
    assert metrics['robustness/fake/top1/fog'] == pytest.approx(sum(fog) / 2, abs=1e-4)
    assert metrics['robustness/fake/top1/weather'] == pytest.approx((sum(fog) / 2 + clean) / 2, abs=1e-4)
    assert metrics['robustness/fake/top1/d>=3'] == pytest.approx((fog[1] + clean) / 2, abs=1e-4)
    assert {'top1/clean', 'top1/all'} <= {
        each['metric'] for each in json.loads((tmp_path / 'results.json').read_text())
    }


def test_unknown_corruptions_are_refused():
    with pytest.raises(ValueError, match=r"\['rain'\]; known are \['gaussian_noise'"):
        RobustnessProbe(dataset={}, corruptions=['rain'])
