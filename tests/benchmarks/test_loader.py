"""The benchmark of the loader runs and reports every case; nothing here is timed."""

import math


def test_it_reports_every_case(run_benchmark):
    rows, ratios, _ = run_benchmark('loader')
    names = [row['pictures'] for row in rows]
    assert len(names) == len(set(names))
    assert {'MMPreTrain, 4 views', 'looc_mm, LoadCanvas and PackCanvas', 'looc_mm, CanvasShards'} <= set(names)
    numbers = [value for row in rows for key, value in row.items() if key != 'pictures']
    assert all(math.isfinite(number) and number > 0 for number in [*numbers, *ratios.values()])
