"""benchmarks/faults.py on few files: damage is never read as other values."""

import pytest


def test_no_damaged_file_gives_other_values(run_benchmark):
    rows, _, printed = run_benchmark('faults', '--kills', 0)
    assert set(rows) == {'damaged checkpoints', 'damaged shards', 'damaged caches'}
    assert [sum(row.values()) for row in rows.values()] == [30, 12, 12]
    assert {what for row in rows.values() for what in row} <= {'refused', 'same values'}
    assert all(row['refused'] >= sum(row.values()) / 2 for row in rows.values()), 'those that were cut, at least'
    assert '| damaged shards | 12 | ' in printed


@pytest.mark.slow
def test_a_killed_training_ends_with_the_weights_of_one_that_was_not(run_benchmark):
    rows, _, _ = run_benchmark('faults', '--kills', 2)
    assert set(rows['SIGKILLs']) <= {'resumed, equal weights', 'ended before the kill'}
