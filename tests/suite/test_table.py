"""Intervals against scipy's, and tables by hand."""

import numpy as np
import pytest
from scipy import stats

from looc_mm.suite import t_interval, table
from looc_mm.suite.table import _t_quantile


@pytest.mark.parametrize('count', [2, 3, 4, 5, 6, 7, 10, 31, 100])
def test_interval_is_scipys(count):
    values = np.random.default_rng(count).normal(50, 10, count)
    low, high = stats.t.interval(0.95, count - 1, loc=values.mean(), scale=stats.sem(values))
    assert t_interval(values.tolist()) == pytest.approx((high - low) / 2, rel=1e-9)


def test_quantiles_are_scipys():
    for freedom in range(1, 60):
        assert _t_quantile(freedom) == pytest.approx(stats.t.ppf(0.975, freedom), rel=1e-9)
        assert _t_quantile(freedom, 0.5) == pytest.approx(stats.t.ppf(0.75, freedom), rel=1e-9)
    assert t_interval([1.0, 1.0]) == 0


def record(config: str, seed: int, metrics: dict, key: str = 'a', **changes) -> dict:
    return {
        'key': 'k',
        'config': f'configs/{config}.py',
        'config_key': config + key,
        'changes': changes,
        'seed': seed,
        'metrics': metrics,
    }


def test_mean_and_interval_over_seeds():
    records = [
        record('moco', 0, {'linear/x': 10.0, 'knn/x': 1.0}),
        record('looc', 0, {'linear/x': 50.0}),
        record('moco', 1, {'linear/x': 20.0, 'knn/x': 3.0}),
        record('moco', 2, {'linear/x': 30.0}),
    ]
    # t with 2 degrees of freedom is 4.303, s = 10: 4.303 * 10 / sqrt(3); with 1 it is 12.706, s = sqrt(2)
    assert table(records).splitlines() == [
        '| method | seeds | linear/x | knn/x |',
        '| --- | --- | --- | --- |',
        '| moco | 3 | 20.00 ± 24.84 | 2.00 ± 12.71 (n=2) |',
        '| looc | 1 | 50.00 | - |',
    ]


def test_metrics_are_chosen_by_name_or_pattern():
    records = [record('moco', 0, {'linear/a/V/top1': 1.0, 'linear/a/V/top5': 2.0, 'knn/a/V/top1': 3.0, 'x[1]': 4.0})]
    assert table(records, ['knn/*', 'linear/*/top5']).splitlines()[2] == '| moco | 1 | 2.00 | 3.00 |'
    assert table(records, ['x[1]']).splitlines()[2] == '| moco | 1 | 4.00 |'
    assert table(records, ['none']).splitlines()[2] == '| moco | 1 |'


def test_two_records_of_one_run_share_a_row():
    """One with an evaluation more than the other."""
    records = [record('moco', 0, {'a': 1.0}), record('moco', 0, {'a': 1.0, 'b': 2.0}), record('moco', 1, {'b': 4.0})]
    assert table(records).splitlines()[2] == '| moco | 2 | 1.00 (n=1) | 3.00 ± 12.71 |'
    with pytest.raises(ValueError, match=r'configs/moco.py, seed 0: two records have the values 1 and 5 of a'):
        table([*records, record('moco', 0, {'a': 5.0})])


def test_rows_of_one_config_are_told_apart():
    changed = record('moco', 0, {'a': 2.0}, 'b', epochs=3, options={'model.momentum': 0.5})
    other = record('moco', 0, {'a': 3.0}, evaluate_options={'k': 5})
    edited = record('moco', 0, {'a': 4.0}, 'edited')
    labels = [line.split(' | ')[0] for line in table([record('moco', 0, {'a': 1.0}), changed, other]).splitlines()[2:]]
    assert labels == ['| moco (as it is)', '| moco (epochs=3, model.momentum=0.5)', '| moco (k=5)']
    labels = [line.split(' | ')[0] for line in table([record('moco', 0, {'a': 1.0}), edited]).splitlines()[2:]]
    assert labels == ['| moco (as it is) mocoa', '| moco (as it is) mocoedit']
