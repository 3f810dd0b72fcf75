"""Numbers from features; scikit-learn, an explicit loop and closed forms as oracles."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import default_collate
from sklearn.linear_model import Ridge as Reference
from sklearn.linear_model import RidgeCV
from sklearn.metrics import mean_absolute_error, r2_score
from torch.utils.data import DataLoader

from looc_mm.datasets import Factors, PackCanvas
from looc_mm.datasets.factors import draw_mask
from looc_mm.evaluation import Features, FeatureSource, LinearProbe, RegressionProbe, run_protocols
from looc_mm.evaluation.protocols.regression import errors
from looc_mm.evaluation.ridge import ALPHAS, fit_ridge
from looc_mm.registry import DATASETS

from .fake import FakeImages, FakeModel

ROOT = Path(__file__).parents[2]


def linear(n=80, width=6, noise=1.0, seed=0):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(n, width, generator=draw) * torch.logspace(-2, 2, width) + 5
    y = x @ (1 / torch.logspace(-2, 2, width)) + noise * torch.randn(n, generator=draw) + 100
    return torch.cat([x, torch.full((n, 1), 0.3)], 1), y.double()


def standardised(x):
    x = x.double()
    std = x.std(0, correction=0)
    std[std < 1e-6] = 1
    return ((x - x.mean(0)) / std).numpy()


@pytest.mark.parametrize('n, noise', [(80, 1.0), (80, 40.0), (5, 1.0)])
def test_ridge_is_that_of_scikit_learn(n, noise):
    x, y = linear(n, noise=noise)
    z = standardised(x)
    reference = RidgeCV(alphas=ALPHAS).fit(z, y)  # leaves one out, in closed form
    fitted = fit_ridge(x, y)
    assert fitted.alpha == reference.alpha_
    np.testing.assert_allclose(fitted.predict(x), reference.predict(z), atol=1e-6)


def test_the_strength_leaves_out_whole_groups():
    """By a loop over the groups, each of them predicted by a fit on the others."""
    x, y = linear(60, noise=2.0)
    x, y = x[:20].repeat(3, 1) + 1e-3 * x, y[:20].repeat(3) + 0.1 * (y - y.mean())
    groups = torch.arange(20).repeat(3)
    z, target = standardised(x), y.numpy()

    def mean_error(alpha):
        left_out = np.zeros(60)
        for group in range(20):
            rows = (groups == group).numpy()
            left_out[rows] = Reference(alpha=alpha).fit(z[~rows], target[~rows]).predict(z[rows])
        return np.square(left_out - target).mean()

    by_groups = min(ALPHAS, key=mean_error)
    assert fit_ridge(x, y, groups).alpha == by_groups != fit_ridge(x, y).alpha
    reference = Reference(alpha=by_groups).fit(z, target)
    np.testing.assert_allclose(fit_ridge(x, y, groups).predict(x), reference.predict(z), atol=1e-6)


def test_errors_are_those_of_scikit_learn():
    draw = torch.Generator().manual_seed(0)
    actual = 50 + 4 * torch.randn(200, generator=draw)
    predicted = actual + 2 * torch.randn(200, generator=draw)
    found = errors(predicted, actual)
    assert found.r2 == pytest.approx(r2_score(actual, predicted))
    assert found.mae == pytest.approx(mean_absolute_error(actual, predicted))
    assert found.r2_interval[0] < found.r2 < found.r2_interval[1]
    error = (predicted - actual).abs().std().item() / 200**0.5
    assert found.mae_interval[1] - found.mae_interval[0] == pytest.approx(2 * 1.96 * error, rel=0.08)
    rows = np.random.default_rng(0).integers(200, size=(2000, 200))
    direct = np.percentile([r2_score(actual[each], predicted[each]) for each in rows[:1000]], [2.5, 97.5])
    assert found.r2_interval == pytest.approx(tuple(direct), abs=0.02)


def test_resamples_take_whole_groups():
    actual = torch.arange(40.0)
    predicted = actual + 5 * torch.randn(40, generator=torch.Generator().manual_seed(0))
    one = errors(predicted, actual)
    copies = errors(predicted.repeat(3), actual.repeat(3), torch.arange(40).repeat(3))
    assert copies.r2 == pytest.approx(one.r2) and copies.r2_interval == pytest.approx(one.r2_interval)


def test_constant_predictions_have_r2_0():
    actual = torch.arange(9.0)
    assert errors(torch.full((9,), 4.0), actual).r2 == pytest.approx(0)
    assert errors(actual, actual).r2 == 1


def test_the_probe_predicts_each_number_and_no_class():
    train, test = linear(), linear(50, seed=1)
    splits = [Features(x, {'age': y, 'shape': torch.arange(len(y)) % 2, 'other': -2 * y}) for x, y in (train, test)]
    probe = RegressionProbe()
    assert probe.labels(*splits) == ['age', 'other'] and LinearProbe().labels(*splits) == ['shape']
    scores = {each.metric: each for each in probe.evaluate(*splits, 'age')}
    reference = RidgeCV(alphas=ALPHAS).fit(standardised(train[0]), train[1])
    z = (test[0] - train[0].mean(0)) / train[0].std(0, correction=0)
    z[:, -1] = 0
    assert scores['r2'].value == pytest.approx(r2_score(test[1], reference.predict(z)), abs=1e-4)
    assert scores['mae'].value == pytest.approx(mean_absolute_error(test[1], reference.predict(z)), abs=1e-3)
    assert 0 < scores['r2'].ci < 0.2
    with pytest.raises(ValueError, match=r"No label 'shape' that is a number; the dataset has the numbers \['age', "):
        RegressionProbe('shape').labels(*splits)
    with pytest.raises(ValueError, match="No label 'age' in the dataset"):
        LinearProbe('age').labels(*splits)


@pytest.mark.parametrize(
    'values, message',
    [
        (torch.full((80,), 7.0), "'age' of all 80 training pictures is 7.0: there is nothing to predict"),
        (torch.cat([torch.arange(79.0), torch.tensor([torch.nan])]), "'age' of 1 training pictures is not finite"),
    ],
)
def test_numbers_that_cannot_be_predicted(values, message):
    x, y = linear()
    with pytest.raises(ValueError, match=message):
        list(RegressionProbe().evaluate(Features(x, {'age': values}), Features(x, {'age': y}), 'age'))


def test_it_does_not_suit_classes():
    loaders = {split: DataLoader(FakeImages(), 4) for split in ('train', 'test')}
    reason = RegressionProbe().unsuitable(FeatureSource(FakeModel(), loaders, name='fake'))
    assert reason == "the labels ['gt_label', 'shape'] are classes, and it needs a label that is a number, a float"


def test_numbers_stay_numbers_on_the_way():
    packed = [
        PackCanvas(('a', 'b')).transform(
            {'img': np.zeros((4, 4, 3), np.uint8), 'ori_shape': (4, 4), 'a': np.int64(3), 'b': np.float64(0.25)}
        )
        for _ in range(2)
    ]
    labels = default_collate(packed)['labels']
    assert (
        labels['a'].dtype == torch.int64 and labels['b'].dtype == torch.float64 and labels['b'].tolist() == [0.25] * 2
    )


def test_factors_have_the_numbers_of_their_shapes():
    for index in range(6):
        info = Factors(6, size=64, seed=3)[index]
        mask = draw_mask(info['shape'], 64, info['size'], np.deg2rad(info['angle']), (0, 0))
        sides = [np.ptp(np.nonzero(mask.max(axis) > 0.05)[0]) + 1 for axis in (0, 1)]
        assert max(sides) / 64 == pytest.approx(info['size'], abs=0.05)
        # The outline of the shape against the gray background is too noisy to find: place the box, and compare masks.
        room = [1 - side / 64 for side in sides]
        position = [(info[name] - side / 128) / free for name, side, free in zip('xy', sides, room, strict=True)]
        placed = draw_mask(info['shape'], 64, info['size'], np.deg2rad(info['angle']), position)
        rows, columns = (np.nonzero(placed.max(axis) > 0.05)[0] for axis in (1, 0))
        assert (columns.min() + columns.max() + 1) / 128 == pytest.approx(info['x'], abs=0.02)
        assert (rows.min() + rows.max() + 1) / 128 == pytest.approx(info['y'], abs=0.02)
        painted = np.abs(info['img'].astype(float) - info['img'].mean(2, keepdims=True)).max(2)
        assert painted[placed > 0.99].mean() > 2 * painted[placed < 0.01].mean()


def test_the_protocol_of_the_factors_config(tmp_path):
    cfg = Config.fromfile(ROOT / 'configs/linear_eval/factors.py')
    assert dict(type='RegressionProbe') in cfg.test_cfg.protocols
    splits = {'train': cfg.test_cfg.train_dataloader.dataset, 'test': cfg.test_dataloader.dataset}
    loaders = {
        split: DataLoader(DATASETS.build({**each.to_dict(), 'length': 64}), 16) for split, each in splits.items()
    }
    source = FeatureSource(FakeModel(), loaders, name='factors')
    metrics = run_protocols(source, [RegressionProbe()], tmp_path)
    assert [*metrics] == [
        f'regression/factors/{label}/{metric}' for label in ('x', 'y', 'size', 'angle') for metric in ('r2', 'mae')
    ]
    assert json.loads((tmp_path / 'results.json').read_text())[0]['factor'] == 'x'
    assert 0 < metrics['regression/factors/angle/mae'] < 10
