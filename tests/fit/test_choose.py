"""Scales by cross-validation; scikit-learn and explicit loops as oracles."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from looc_mm.fit import choose as module
from looc_mm.fit.choose import change, channel_scales, choose, few, fit_blocks, folds, grow, held_out_losses, of_v

NAMES = ('a', 'b', 'c')


@pytest.fixture(autouse=True)
def two_scales(monkeypatch):
    """A choice tries half as many combinations."""
    monkeypatch.setattr(module, 'SCALES', (0.3, 1.0))


def blocks(n=60, signal=(), seed=0):
    """V and two spaces of noise; those of ``signal`` show a part of the class."""
    draw = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % 3
    parts = {name: 4 + 3 * torch.randn(n, 5, generator=draw) for name in ('V', 'color', 'rotation')}
    for number, name in enumerate(signal):
        parts[name][:, number] += 6.0 * (y == number)
    return parts, y, torch.arange(n)


def by_scikit_learn(parts, y, scales, rows, others):
    """Probabilities of other rows, by logistic regression on standardised and scaled blocks."""
    x = np.concatenate([parts[name].double().numpy() for name in scales], 1)
    factor = np.concatenate([np.full(parts[name].shape[1], scale) for name, scale in scales.items()])
    mean, std = x[rows].mean(0), x[rows].std(0)
    z = (x - mean) / std * factor
    fitted = LogisticRegression(C=1 / (1e-2 * len(rows)), tol=1e-10, max_iter=10_000).fit(z[rows], y[rows])
    return fitted.predict_proba(z[others])


def test_a_scale_is_a_factor_of_standardised_channels():
    parts, y, _ = blocks(signal=('V', 'color'))
    scales = {'V': 0.3, 'color': 2.0}
    assert channel_scales(parts, scales).tolist() == pytest.approx([0.3] * 5 + [2.0] * 5)
    rows, others = np.arange(45), np.arange(45, 60)
    fitted = fit_blocks({name: x[rows] for name, x in parts.items()}, y[rows], 3, scales)
    got = fitted.predict(torch.cat([parts['V'], parts['color']], 1)[others].double()).softmax(1)
    np.testing.assert_allclose(got, by_scikit_learn(parts, y, scales, rows, others), atol=1e-4)


def test_losses_of_held_out_pictures():
    parts, y, groups = blocks(signal=('V',))
    fold = folds(y, groups, NAMES)
    losses, top1 = held_out_losses(parts, y, fold, 3, {'V': 1.0})
    probability = np.zeros((60, 3))
    for number in range(5):
        rest, held = (fold != number).nonzero()[:, 0].numpy(), (fold == number).nonzero()[:, 0].numpy()
        probability[held] = by_scikit_learn(parts, y, {'V': 1.0}, rest, held)
    assert losses.mean().item() == pytest.approx(log_loss(y, probability), abs=1e-3)
    assert top1 == pytest.approx(100 * (probability.argmax(1) == y.numpy()).mean())
    alone, _ = held_out_losses(parts, y, fold, 3, {'V': 1.0}, (2,))
    assert torch.equal(alone[fold == 2], losses[fold == 2]) and not alone[fold != 2].any()


def test_v_is_kept_where_the_spaces_know_nothing():
    parts, y, groups = blocks(300, signal=('V', 'V', 'V'))  # with 60, noise helps by chance
    found = choose(parts, y, groups, NAMES)
    assert found.v == found.best and [*found.v] == ['V'] and len(found.steps) == 1


def test_a_space_that_knows_another_part_of_the_class_is_added():
    parts, y, groups = blocks(300, signal=('V', 'color'))
    found = choose(parts, y, groups, NAMES)
    assert {*found.best} >= {'V', 'color'} and found.v == found.steps[0].scales
    losses = [each.loss for each in found.steps]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.8 * losses[0]
    fold = folds(y, groups, NAMES)
    alone = [held_out_losses(parts, y, fold, 3, {'V': scale})[0].mean().item() for scale in module.SCALES]
    assert found.steps[0].loss == pytest.approx(min(alone))
    neighbours = [change(found.best, name, scale, parts) for name in parts for scale in (0.0, *module.SCALES)]
    lowest = min(held_out_losses(parts, y, fold, 3, each)[0].mean().item() for each in neighbours if each)
    assert lowest > (1 - module.LEAST_GAIN) * losses[-1]


def test_v_can_be_left_out():
    parts, y, groups = blocks(signal=('color', 'rotation'))
    parts['V'] = torch.randn(60, 40, generator=torch.Generator().manual_seed(1))  # noise that is learnt by heart
    assert [*choose(parts, y, groups, NAMES).best] == ['color', 'rotation']


def test_of_looc_plus_plus_v_is_all_spaces():
    assert of_v({'color': None, 'rotation': None}, 0.3) == {'color': 0.3, 'rotation': 0.3}
    assert of_v({'V': None, 'rotation': None}, 0.3) == {'V': 0.3}
    parts = {'V': None, 'color': None, 'rotation': None}
    assert [*change({'rotation': 1.0}, 'V', 0.3, parts).items()] == [('V', 0.3), ('rotation', 1.0)]
    assert change({'rotation': 1.0}, 'rotation', 0.0, parts) == {}


def test_with_more_pictures_a_common_factor_is_chosen(monkeypatch):
    parts, y, groups = blocks(150, signal=('V', 'color'))
    monkeypatch.setattr(module, 'MOST', 60)
    found = choose(parts, y, groups, NAMES)
    rows = few(y, 60)
    small = choose({name: x[rows] for name, x in parts.items()}, y[rows], groups[rows], NAMES)
    assert found.steps == small.steps and {*found.best} == {*small.best}
    factors = {round(found.best[name] / small.best[name], 6) for name in found.best}
    assert len(factors) == 1 and factors <= {*module.FACTORS}
    held = folds(y, groups, NAMES) == 0
    losses = {}
    for factor in module.FACTORS:
        scales = {name: factor * scale for name, scale in small.v.items()}
        probability = by_scikit_learn(parts, y, scales, (~held).nonzero()[:, 0].numpy(), held.nonzero()[:, 0].numpy())
        losses[factor] = log_loss(y[held], probability)
    best = min(losses, key=losses.get)
    assert found.v == grow(parts, y, held, 3, small.v) == pytest.approx({'V': best * small.v['V']})


def test_folds_share_no_group_and_divide_each_class():
    y = torch.arange(60) % 3
    groups = torch.arange(60) // 6  # six neighbours show one object, of three classes
    fold = folds(y, groups, NAMES)
    for group in range(10):
        assert len(fold[groups == group].unique()) == 1
    assert fold.bincount().tolist() == [12] * 5
    assert not torch.equal(fold, folds(y, groups, NAMES, seed=1)) and torch.equal(fold, folds(y, groups, NAMES))
    alone = folds(y, torch.arange(60), NAMES)
    assert all((alone[y == label].bincount() == 4).all() for label in range(3))


def test_a_class_of_few_groups_gives_few_folds_or_an_error():
    y = torch.tensor([0] * 10 + [1] * 3)
    assert folds(y, torch.arange(13), NAMES).max() == 2
    with pytest.raises(ValueError, match=r"The class 'b' \(3 training pictures of 1 groups\) cannot be divided"):
        folds(y, torch.tensor([*range(10), 10, 10, 10]), NAMES)
    with pytest.raises(ValueError, match="The class 'b' .* cannot be divided"):
        folds(torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0, 0, 1, 1, 1]), NAMES)


def test_few_keeps_the_shares_of_the_classes():
    y = torch.tensor([0] * 80 + [1] * 18 + [2] * 2)
    rows = few(y, 50)
    assert y[rows].bincount().tolist() == [40, 9, 2] and torch.equal(rows, rows.sort().values)
    assert torch.equal(few(y, 100), torch.arange(100))
