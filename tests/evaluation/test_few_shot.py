import pytest
import torch

from looc_mm.evaluation import Features, FewShotProbe
from looc_mm.evaluation.protocols.few_shot import draw


def features(n: int, seed: int, noise: float = 1.0) -> Features:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 4
    return Features(torch.eye(4)[labels] + noise * torch.randn(n, 4, generator=generator), {'gt_label': labels})


def test_the_interval_is_that_of_the_trials():
    """By hand: the mean, the sample deviation, 1.96 s / sqrt(10)."""
    train, test = features(80, 0), features(200, 1)
    probe = FewShotProbe(shots=(3,), iterations=40)
    (got,) = probe.evaluate(train, test, 'gt_label')
    values = [probe.trial(train, test, 'gt_label', 3, trial) for trial in range(10)]
    mean = sum(values) / 10
    deviation = (sum((value - mean) ** 2 for value in values) / 9) ** 0.5
    assert deviation > 0 and got.metric == 'top1/3-shot'
    assert got.value == pytest.approx(mean, abs=1e-4)
    assert got.ci == pytest.approx(1.96 * deviation / 10**0.5, abs=1e-4)


def test_equal_draws_are_announced_and_their_interval_is_of_the_initial_weights():
    train, test = features(40, 0, 0.5), features(200, 1, 0.5)  # ten images of each class
    probe = FewShotProbe(shots=(5, 10), iterations=100)
    with pytest.warns(
        UserWarning, match='has 10 training images, so that all 10 draws of 10 shots are equal'
    ) as raised:
        five, ten = probe.evaluate(train, test, 'gt_label')
    assert len(raised) == 1, 'not of 5 shots'
    draws = [draw(train.labels['gt_label'], 10, torch.Generator().manual_seed(seed)) for seed in range(10)]
    assert all(sorted(rows.tolist()) == list(range(40)) for rows in draws)
    assert ten.ci < 0.1 < five.ci


def test_more_shots_help_and_separable_classes_are_learnt():
    few, many = FewShotProbe(shots=(1, 15), iterations=60).evaluate(features(80, 0), features(400, 1), 'gt_label')
    assert many.value > few.value + 3
    (easy,) = FewShotProbe(shots=(5,)).evaluate(features(80, 0, 0.05), features(80, 1, 0.05), 'gt_label')
    assert easy.value == 100 and easy.ci == 0


def test_every_class_gives_as_many_and_another_trial_gives_others():
    labels = torch.tensor([0] * 9 + [1] * 5 + [2] * 7)
    rows = [draw(labels, 5, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert torch.equal(labels[rows[0]].bincount(), torch.tensor([5, 5, 5])) and len(rows[0].unique()) == 15
    assert torch.equal(rows[0], rows[1]) and not torch.equal(rows[0], rows[2])
    with pytest.raises(ValueError, match='6 shots were asked for, and class 1 has 5'):
        draw(labels, 6, torch.Generator())
    with pytest.raises(ValueError, match='trials=1'):
        FewShotProbe(trials=1)


def test_two_labels_have_two_names(build_runner):
    metrics = build_runner(protocols=[dict(type='FewShotProbe', shots=(2,), trials=2, iterations=3)]).test()
    assert list(metrics) == ['few_shot/fake/top1/2-shot', 'few_shot/fake/shape/top1/2-shot']
