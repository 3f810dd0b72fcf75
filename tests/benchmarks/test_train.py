"""The benchmark of training from files runs; nothing here is timed."""

import pytest


@pytest.mark.slow
def test_it_reports_every_case(run_benchmark):
    rows, ratios, _ = run_benchmark('train', '--size', 32, '--batch', 4, '--rounds', 1, '--steps', 1)
    cases = ['LooC(2), from files', 'LooC(2), a batch in memory', "MMPreTrain's MoCo v2, from files"]
    assert [row['case'] for row in rows] == cases
    assert all(row['images/s'] > 0 for row in rows)
    assert set(ratios) == {'from files / in memory', "LooC(2) / MMPreTrain's MoCo v2"}
