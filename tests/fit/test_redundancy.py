"""Linear CKA and canonical correlations; explicit loops and closed forms as oracles."""

import numpy as np
import pytest
import torch

from looc_mm.fit import redundancy as module
from looc_mm.fit.redundancy import directions, linear_cka, mean_correlation, redundancy, standardised


def normal(n, width, seed=0):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(seed)).double()


def test_cka_is_the_alignment_of_centred_gram_matrices():
    """HSIC with linear kernels (Kornblith et al., equations 2 to 4), by loops over pairs of pictures."""
    x, y = normal(12, 4) + 3, normal(12, 6, seed=1)
    y[:, :2] += x[:, :2]

    def centred_gram(z):
        n = len(z)
        gram = [[float(z[i] @ z[j]) for j in range(n)] for i in range(n)]
        row = [sum(each) / n for each in gram]
        return [[gram[i][j] - row[i] - row[j] + sum(row) / n for j in range(n)] for i in range(n)]

    k, other = centred_gram(x), centred_gram(y)

    def hsic(a, b):
        return sum(a[i][j] * b[i][j] for i in range(12) for j in range(12))

    assert linear_cka(x, y) == pytest.approx(hsic(k, other) / (hsic(k, k) * hsic(other, other)) ** 0.5)


def test_cka_of_a_turned_block_is_1_and_of_a_constant_block_0():
    x = normal(50, 5)
    turn = torch.linalg.qr(normal(5, 5, seed=2)).Q
    assert linear_cka(x, 3 * x @ turn + 1) == pytest.approx(1)
    assert linear_cka(x, torch.ones(50, 2)) == 0


def test_correlations_are_those_of_the_covariance():
    """Square roots of the eigenvalues of Sxx^-1 Sxy Syy^-1 Syx (Hotelling)."""
    x, y = normal(400, 3), normal(400, 4, seed=1)
    y[:, 0] += x[:, 0]
    y[:, 1] += 0.5 * x[:, 1]
    covariance = np.cov(torch.cat([x, y], 1).T)
    xx, xy, yy = covariance[:3, :3], covariance[:3, 3:], covariance[3:, 3:]
    values = np.linalg.eigvals(np.linalg.solve(xx, xy) @ np.linalg.solve(yy, xy.T)).real
    assert mean_correlation(directions(x), directions(y)) == pytest.approx(np.sqrt(values).mean(), abs=1e-9)


def test_correlations_do_not_depend_on_a_linear_map():
    x, y = normal(300, 3), normal(300, 4, seed=1)
    y[:, :3] += x
    mapped = x @ torch.diag(torch.tensor([1.0, 2, 3])).double() @ torch.linalg.qr(normal(3, 3, seed=3)).Q + 2
    assert mean_correlation(directions(x), directions(mapped)) == pytest.approx(1)
    assert mean_correlation(directions(mapped), directions(y)) == pytest.approx(
        mean_correlation(directions(x), directions(y))
    )
    assert mean_correlation(directions(torch.ones(300, 2)), directions(x)) == 0


def test_main_directions_hold_99_percent_and_are_at_most_a_tenth_of_the_pictures():
    x = torch.cat([normal(500, 2), 0.05 * normal(500, 6, seed=1)], 1)
    variance = torch.linalg.eigvalsh(x.T.cov()).flip(0)
    assert variance[:2].sum() < 0.995 * variance.sum() and directions(x).shape[1] == 2
    assert directions(normal(40, 30)).shape[1] == 4
    scores = directions(normal(40, 30))
    assert torch.allclose(scores.T @ scores, torch.eye(4).double()) and scores.sum(0).abs().max() < 1e-9


def test_pairs_and_their_shuffled_values(monkeypatch):
    v = normal(300, 6)
    parts = {'V': v, 'color': v[:, :3] + 0.1 * normal(300, 3, seed=1), 'rotation': normal(300, 3, seed=2)}
    found = {(each.first, each.second): each for each in redundancy(parts)}
    assert [*found] == [('V', 'color'), ('V', 'rotation'), ('color', 'rotation')]
    near, far = found['V', 'color'], found['V', 'rotation']
    assert near.cca > 0.98 and near.cca_shuffled < 0.2 and near.cka > 0.5 and near.cka_shuffled < 0.05
    assert far.cca == pytest.approx(far.cca_shuffled, abs=0.1) and far.cka == pytest.approx(far.cka_shuffled, abs=0.05)
    assert near.cka == pytest.approx(linear_cka(standardised(parts['V']), standardised(parts['color'])))
    monkeypatch.setattr(module, 'MOST', 40)
    assert redundancy(parts)[0].cka != pytest.approx(near.cka, abs=1e-6)


def test_a_channel_that_does_not_vary_is_0():
    x = torch.stack([torch.full((9,), 0.3), torch.arange(9.0)], 1)
    got = standardised(x)
    assert not got[:, 0].any() and got[:, 1].std(correction=0) == pytest.approx(1)
