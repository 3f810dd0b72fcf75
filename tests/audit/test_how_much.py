"""Ridge regression and R² as scikit-learn has them."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.metrics import r2_score

from looc_mm.audit import how_much, tell
from looc_mm.audit.whitened import RIDGE, whitened_cosine, whitening
from looc_mm.evaluation.bootstrap import resample
from looc_mm.evaluation.ridge import ALPHAS, fit_ridge


def data(count, width, seed=0):
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(count, width, generator=draw, dtype=torch.double)
    y = x[:, :3].sum(1) + 2 * torch.randn(count, generator=draw, dtype=torch.double) + 4
    return x, y


@pytest.mark.parametrize('width', [10, 90])
@pytest.mark.parametrize('alpha', [0.1, 100.0])
def test_ridge_is_that_of_scikit_learn(width, alpha):
    x, y = data(60, width)
    got = fit_ridge(x[:40], y[:40], alphas=[alpha], standardise=False)
    expected = Ridge(alpha).fit(x[:40].numpy(), y[:40].numpy())
    assert np.allclose(got.predict(x[40:]), expected.predict(x[40:].numpy()), atol=1e-8)
    assert np.allclose(got.weight, expected.coef_, atol=1e-8)


@pytest.mark.parametrize('width', [10, 90])
def test_the_strength_has_the_least_error_of_rows_left_out(width):
    """By fits without each row, and by scikit-learn's cross-validation."""
    x, y = data(60, width, seed=1)
    errors = []
    for alpha in ALPHAS:
        kept = [np.delete(np.arange(60), row) for row in range(60)]
        fits = [Ridge(alpha).fit(x.numpy()[rows], y.numpy()[rows]) for rows in kept]
        left = [fit.predict(x.numpy()[row : row + 1])[0] - y[row].item() for row, fit in enumerate(fits)]
        errors.append(np.square(left).mean())
    got = fit_ridge(x, y, standardise=False)
    assert got.alpha == ALPHAS[int(np.argmin(errors))]
    assert got.alpha == RidgeCV(ALPHAS).fit(x.numpy(), y.numpy()).alpha_


def test_r2_is_that_of_scikit_learn():
    x, y = data(200, 10)
    y = torch.stack([y, x[:, 5]], 1)
    train, test = torch.arange(120), torch.arange(120, 200)
    visible = torch.ones(200, 2, dtype=torch.bool)
    visible[130, 0] = False
    predictions, left_out = how_much.predict(x, y, visible, train, test)
    expected = [r2_score(each.actual.numpy(), each.predicted.numpy()) for each in predictions]
    weights = resample(80, torch.Generator().manual_seed(0), tell.RESAMPLES)
    got = how_much.r2(predictions, test, weights)
    assert left_out == 0 and [len(each.rows) for each in predictions] == [79, 80] and expected[1] > 0.9
    assert got.value == pytest.approx(np.mean(expected), abs=1e-9)
    loop = []
    for row in weights.long():
        scores = []
        for each in predictions:
            rows = torch.arange(len(each.rows)).repeat_interleave(row[each.rows - 120])
            scores.append(r2_score(each.actual[rows].numpy(), each.predicted[rows].numpy()))
        loop.append(np.mean(scores))
    assert got.high - got.value == pytest.approx(1.959964 * np.std(loop, ddof=1), rel=1e-6)


def test_a_constant_target_and_a_rare_one_are_left_out():
    x, y = data(100, 4)
    y = torch.stack([y, torch.zeros(100, dtype=torch.double), y], 1)
    visible = torch.ones(100, 3, dtype=torch.bool)
    visible[10:, 2] = False
    predictions, left_out = how_much.predict(x, y, visible, torch.arange(50), torch.arange(50, 100))
    assert len(predictions) == 1 and left_out == 2


def test_r2_by_strength():
    actual = torch.tensor([-5.0, 5.0, -4.0, 4.0, -3.0, 3.0, -2.0, 2.0, -1.0, 1.0]).double()
    predicted = torch.where(actual.abs() > 2, actual, 0.0)
    one = how_much.Prediction(predicted, actual, torch.arange(10))
    assert how_much.r2_by_strength([one]) == pytest.approx([0, 0, 1, 1, 1])


def test_whitened_cosine_in_closed_form():
    """Channels with deviations 1 and 10 about a mean of 50: raw cosines are near 1, whitened ones are those of z."""
    draw = torch.Generator().manual_seed(0)
    z = torch.randn(5000, 2, generator=draw, dtype=torch.double)
    z = (z - z.mean(0)) @ torch.linalg.cholesky(torch.linalg.inv(torch.cov(z.T, correction=0)))  # exactly white
    scale = torch.tensor([1.0, 10.0]).double()
    x = z * scale + 50
    mean, root = whitening(x)
    shrunk = scale / (scale.square() + RIDGE * scale.square().mean()).sqrt()
    expected = torch.cosine_similarity(z[:2500] * shrunk, z[2500:] * shrunk)
    assert torch.allclose(whitened_cosine(x[:2500], x[2500:], mean, root), expected, atol=1e-6)
    assert torch.cosine_similarity(x[:2500], x[2500:]).mean() > 0.9 and expected.mean().abs() < 0.05
