"""Bootstrap intervals; closed forms as oracles."""

import numpy as np
import pytest
import torch

from looc_mm.evaluation.bootstrap import mean_difference, percentiles, resampled_totals


def test_totals_are_sums_over_drawn_groups():
    values = torch.tensor([[1.0, 1], [10, 1], [100, 1], [1000, 1]])
    groups = torch.tensor([7, 7, 3, 5])
    totals = resampled_totals(values, groups, resamples=150)
    assert totals.shape == (150, 2)
    possible = {(11 * a + 100 * b + 1000 * c, 2 * a + b + c) for a in range(4) for b in range(4) for c in range(4)}
    assert {tuple(each) for each in totals.tolist()} <= {each for each in possible if 3 <= each[1] <= 6}
    assert torch.equal(totals, resampled_totals(values, groups, resamples=150))
    assert not torch.equal(totals, resampled_totals(values, groups, seed=1, resamples=150))


def test_the_spread_of_a_mean_is_the_standard_error():
    x = torch.randn(400, 1, generator=torch.Generator().manual_seed(0)).double()
    means = resampled_totals(x, resamples=4000)[:, 0] / 400
    assert means.std().item() == pytest.approx(x.std(correction=0).item() / 20, rel=0.05)
    assert means.mean().item() == pytest.approx(x.mean().item(), abs=0.005)


def test_percentiles():
    values = torch.arange(2001).double()
    assert percentiles(values) == pytest.approx(tuple(np.percentile(np.arange(2001), [2.5, 97.5])))
    assert percentiles(values, 0.2) == pytest.approx((200, 1800))


def test_a_paired_difference_has_a_narrower_interval_than_two_means():
    draw = torch.Generator().manual_seed(0)
    common = torch.randn(300, generator=draw).double()
    first, second = common + 0.1, common + 0.01 * torch.randn(300, generator=draw)
    difference, (low, high) = mean_difference(first, second)
    assert difference == pytest.approx((first - second).mean().item()) and low < difference < high
    error = (first - second).std().item() / 300**0.5
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.08)


def test_copies_of_a_picture_in_one_group_add_nothing():
    draw = torch.Generator().manual_seed(0)
    first, second = torch.rand(50, generator=draw), torch.rand(50, generator=draw)
    once = mean_difference(first, second)
    groups = torch.arange(50).repeat(4)
    four = mean_difference(first.repeat(4), second.repeat(4), groups)
    assert four[0] == pytest.approx(once[0]) and four[1] == pytest.approx(once[1])
    apart = mean_difference(first.repeat(4), second.repeat(4))
    assert apart[1][1] - apart[1][0] < 0.6 * (once[1][1] - once[1][0])
