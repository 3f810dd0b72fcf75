"""Ranks, intervals, probes and hits by loops, closed forms and scikit-learn."""

import pytest
import torch
from sklearn.metrics import roc_auc_score

from looc_mm.audit import tell
from looc_mm.evaluation.bootstrap import resample


def scores(seed, ties):
    draw = torch.Generator().manual_seed(seed)
    positive, negative = torch.randn(40, generator=draw) + 0.5, torch.randn(31, generator=draw)
    return [(2 * each).round() if ties else each for each in (positive, negative)]


@pytest.mark.parametrize('ties', [False, True])
def test_auc_by_a_loop_and_by_scikit_learn(ties):
    positive, negative = scores(0, ties)
    wins = [1.0 if p > n else 0.5 if p == n else 0.0 for p in positive.tolist() for n in negative.tolist()]
    y = [1] * len(positive) + [0] * len(negative)
    got = tell.auc(positive, negative)
    assert got == pytest.approx(sum(wins) / len(wins), abs=1e-12)
    assert got == pytest.approx(roc_auc_score(y, torch.cat([positive, negative]).numpy()), abs=1e-12)


def test_auc_of_each_resample_by_repeating_pictures(monkeypatch):
    monkeypatch.setattr(tell, 'CHUNK', 7)
    draw = torch.Generator().manual_seed(3)
    positive, negative = (torch.randn(20, generator=draw).mul(2).round() for _ in range(2))
    weights = resample(20, draw, 15)
    assert (weights.sum(1) == 20).all()
    loop = []
    for row in weights.long():
        pictures = torch.arange(20).repeat_interleave(row)
        loop.append(tell.auc(positive[pictures], negative[pictures]))
    got = tell.auc_interval(positive, negative, weights)
    half = 1.959964 * torch.tensor(loop).double().std().item()
    assert got == pytest.approx((tell.auc(positive, negative), got.value - half, got.value + half), abs=1e-6)


def test_interval_of_a_mean():
    values = torch.randn(4000, generator=torch.Generator().manual_seed(0))
    got = tell.mean_interval(values, resample(4000, torch.Generator().manual_seed(1), tell.RESAMPLES))
    assert got.value == pytest.approx(values.mean().item(), abs=1e-6)
    assert (got.high - got.low) / 2 == pytest.approx(1.96 * values.std().item() / 4000**0.5, rel=0.15)


def test_a_dead_channel_stays_zero():
    x = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * 5 + 2
    x[:, 1] = 7
    z = tell.standardise(x)(x)
    assert torch.allclose(z.mean(0), torch.zeros(3), atol=1e-5)
    assert torch.allclose(z.std(0, correction=0), torch.tensor([1.0, 0.0, 1.0]), atol=1e-5)


def test_the_probe_finds_a_relation_that_the_cosine_does_not():
    """Products of opposite sign: the cosine is 0 in the mean, whether the sign is shared or not."""
    draw = torch.Generator().manual_seed(0)
    sign = (torch.rand(600, 1, generator=draw) < 0.5).float() * 2 - 1
    noise = torch.randn(600, 7, generator=draw) * 5
    query = torch.cat([sign, noise], 1)
    same = torch.cat([sign, torch.randn(600, 7, generator=draw) * 5], 1)
    other = torch.cat([-sign, torch.randn(600, 7, generator=draw) * 5], 1)
    fit, held = slice(300), slice(300, None)
    probe = tell.fit_probe(query[fit], same[fit], other[fit])
    found = [tell.probe_scores(probe, query[held], each[held]) for each in (same, other)]
    assert tell.auc(*found) > 0.99
    assert tell.auc(*(tell.cosine_scores(query[held], each[held]) for each in (same, other))) < 0.65


def test_hits():
    query = torch.tensor([[1.0, 0.0]] * 3)
    gallery = torch.tensor(
        [[[2.0, 0.1], [0.0, 1.0], [-1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]], [[3.0, 3.0]] * 3]
    )
    assert tell.hits(query, gallery).tolist() == pytest.approx([1, 0, 1 / 3])
