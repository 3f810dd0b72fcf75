import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from looc_mm.evaluation import (
    Features,
    FewShotProbe,
    HeadPreference,
    LinearClassifier,
    LinearProbe,
    RobustnessProbe,
    RotationProbe,
)
from looc_mm.evaluation.protocols.base import accuracies


def score(classifier, x, y):
    return accuracies(classifier.predict(x), y)


def evaluate(probe, train, test):
    return list(probe.evaluate(train, test, 'gt_label'))


def gaussians(n, num_classes=4, width=10, spread=0.6, seed=0):
    """Overlapping classes."""
    draw = torch.Generator().manual_seed(seed)
    centers = spread * torch.randn(num_classes, width, generator=torch.Generator().manual_seed(99))
    labels = torch.randint(num_classes, (n,), generator=draw)
    return centers[labels] + torch.randn(n, width, generator=draw), labels


def awkward(x):
    """Features of very different scale, one of them constant."""
    return torch.cat([x * torch.logspace(-2, 2, x.shape[1]) + 5, torch.full((len(x), 1), 0.3)], dim=1)


def test_lbfgs_finds_the_optimum_that_scikit_learn_finds():
    (x, y), (x_test, y_test) = gaussians(600), gaussians(1000, seed=1)
    x, x_test = awkward(x), awkward(x_test)
    probe = LinearClassifier(l2=1e-2).fit(x, y, 4)

    mean, std = x.double().mean(0), x.double().std(0, correction=0)
    std[-1] = 1
    reference = LogisticRegression(C=1 / (1e-2 * len(x)), tol=1e-10, max_iter=10_000)  # C weighs the sum of losses
    reference.fit(((x - mean) / std).numpy(), y.numpy())
    weight = (probe.weight * std).numpy()
    np.testing.assert_allclose(weight, reference.coef_, atol=1e-4)
    bias = (probe.bias + probe.weight @ mean).numpy()
    np.testing.assert_allclose(bias - bias.mean(), reference.intercept_ - reference.intercept_.mean(), atol=1e-4)

    expected = 100 * reference.score(((x_test - mean) / std).numpy(), y_test.numpy())
    assert 50 < expected < 99
    assert score(probe, x_test, y_test)['top1'] == pytest.approx(expected, abs=0.2)


def test_sgd_comes_within_a_point_of_the_optimum():
    (x, y), (x_test, y_test) = gaussians(600), gaussians(2000, seed=1)
    expected = (
        LogisticRegression(C=1e4, max_iter=10_000).fit(x.numpy(), y.numpy()).score(x_test.numpy(), y_test.numpy())
    )
    probe = LinearClassifier(solver='sgd', lr=0.1, epochs=50).fit(x, y, 4)
    assert score(probe, x_test, y_test)['top1'] == pytest.approx(100 * expected, abs=1)


def test_sgd_follows_the_schedule_of_the_paper(monkeypatch):
    rates = []
    step = torch.optim.SGD.step
    monkeypatch.setattr(torch.optim.SGD, 'step', lambda self: (rates.append(self.param_groups[0]['lr']), step(self)))
    LinearClassifier(solver='sgd', lr=1.0, epochs=10).fit(torch.randn(8, 3), torch.arange(8) % 2, 2)
    assert rates == pytest.approx([1] * 6 + [0.1] * 2 + [0.01] * 2)


@pytest.mark.parametrize('scale', [100.0, 1e30])
def test_sgd_says_when_it_diverged(scale):
    x, y = gaussians(300, spread=0.1)
    with pytest.raises(ValueError, match=r'diverged.*Lower lr=30, say lr=3, or take solver="lbfgs"'):
        LinearClassifier(solver='sgd', epochs=5).fit(scale * x, y, 4)


def test_lbfgs_says_when_it_is_not_done():
    with pytest.warns(UserWarning, match='not done after 2 iterations: raise max_iter or l2'):
        LinearClassifier(max_iter=2).fit(*gaussians(300), 4)


def test_top5_counts_the_five_best():
    probe = LinearClassifier()
    probe.weight, probe.bias = torch.zeros(7, 1), torch.arange(7.0)  # ranks 6, 5, 4, 3, 2, 1, 0
    scores = score(probe, torch.zeros(10, 1), torch.tensor([6, 5, 4, 3, 2, 1, 0, 6, 6, 0]))
    assert scores == pytest.approx({'top1': 30.0, 'top5': 70.0})


def test_no_top5_of_five_classes():
    probe = LinearClassifier()
    probe.weight, probe.bias = torch.zeros(5, 1), torch.arange(5.0)
    assert score(probe, torch.zeros(2, 1), torch.tensor([4, 0])) == {'top1': 50.0}


def test_a_score_for_each_metric_and_label():
    x, y = gaussians(300)
    train = Features(x, {'gt_label': y, 'shape': y % 2})
    (found,) = LinearProbe().evaluate(train, train, 'gt_label')
    assert (found.metric, found.ci, found.solver, found.factor) == ('top1', None, 'lbfgs', None)
    assert LinearProbe().labels(train) == ['gt_label', 'shape'] and LinearProbe(label='shape').labels(train) == [
        'shape'
    ]
    turned = Features(x, {'rotation': y})
    assert LinearProbe().labels(Features(x, {**train.labels, 'rotation': y})) == ['gt_label', 'shape']
    with pytest.raises(ValueError, match=r"No label None in the dataset; it has \['rotation'\]"):
        LinearProbe().labels(turned)


@pytest.mark.parametrize('kind', [RobustnessProbe, HeadPreference, LinearProbe, RotationProbe])
def test_unknown_options_are_refused(kind):
    """A protocol that takes the sweep and leaves it out would give a figure of another setting."""
    more = {'dataset': {}} if kind is RobustnessProbe else {}
    unknown = {'sweeps': [0.1]} if issubclass(kind, LinearProbe) else {'sweep': [0.1]}
    with pytest.raises(ValueError, match=f"{kind.__name__} got the unknown options .*'solver', 'l2', 'max_iter'"):
        kind(**more, **unknown)
    assert kind(**more, solver='sgd', lr=0.5, seed=3).classifier.lr == 0.5
    with pytest.raises(TypeError, match='sweep'):
        FewShotProbe(sweep=[0.1])


def test_errors():
    with pytest.raises(ValueError, match="'lbfgs' or 'sgd', got 'adam'"):
        LinearProbe(solver='adam')
    x, y = gaussians(10)
    with pytest.raises(ValueError, match=r"No label 'color' in the dataset; it has \['gt_label'\]"):
        LinearProbe(label='color').labels(Features(x, {'gt_label': y}))


def test_a_sweep_chooses_on_held_out_training_samples():
    """By hand: each value fitted on nine tenths, scored on the tenth; the best one fitted on all."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(4, (200,), generator=generator)
    x = torch.nn.functional.one_hot(labels, 40).float() + torch.randn(200, 40, generator=generator)
    test = Features(x[150:], {'gt_label': labels[150:]})
    train = Features(x[:150], {'gt_label': labels[:150]})
    values = (1e-4, 1e-1, 10.0)
    first, swept = evaluate(LinearProbe(sweep=values), train, test)
    assert (first.metric, swept.metric) == ('top1', 'top1/swept')
    assert first == evaluate(LinearProbe(), train, test)[0]
    order = torch.randperm(150, generator=torch.Generator().manual_seed(0))
    held, rest = order[:15], order[15:]
    scores = [
        score(LinearClassifier(l2=v).fit(train.x[rest], labels[rest], 4), x[held], labels[held])['top1'] for v in values
    ]
    best = values[scores.index(max(scores))]
    assert swept.value == evaluate(LinearProbe(l2=best), train, test)[0].value


def test_a_sweep_passes_over_what_diverges():
    labels = torch.arange(60) % 3
    x = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    data = Features(x, {'gt_label': labels})
    probe = LinearProbe(solver='sgd', lr=0.1, epochs=3, sweep=(1e38, 0.1))
    assert evaluate(probe, data, data)[1].value == evaluate(probe, data, data)[0].value
    with pytest.raises(ValueError, match='every value of sweep'):
        evaluate(LinearProbe(solver='sgd', lr=0.1, epochs=3, sweep=(1e38,)), data, data)
