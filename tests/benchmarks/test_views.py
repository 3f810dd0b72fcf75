"""The benchmark of the views runs and reports every case; nothing here is timed."""

import math


def test_it_reports_every_case(run_benchmark):
    listed, ratios, printed = run_benchmark('views')
    rows = {row['views']: row for row in listed}
    assert {'MMPreTrain', 'torchvision v1, PIL', 'torchvision v2, uint8', 'looc_mm'} <= set(rows)
    for library in ('albumentations', 'kornia'):
        assert (library in rows) != (f'{library} is not installed' in printed)
    numbers = [value for row in rows.values() for key, value in row.items() if key != 'views']
    assert all(math.isfinite(number) and number > 0 for number in [*numbers, *ratios.values()])
    assert rows['MMPreTrain']['x MMPreTrain'] == 1 and 'looc_mm / MMPreTrain' in ratios
