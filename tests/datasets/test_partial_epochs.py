"""Epochs of any length take every sample equally often, and a resumed run goes on in the same order."""

from collections import Counter

import pytest

from looc_mm.datasets import PartialEpochs


def stream(length: int, pictures: int, epochs: int, **options) -> list[list[int]]:
    sampler = PartialEpochs(range(length), pictures, seed=3, **options)
    found = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        found.append(list(sampler))
        assert len(found[-1]) == len(sampler) == pictures
    return found


@pytest.mark.parametrize('pictures', [1, 3, 7, 10, 16, 25])
def test_passes_follow_each_other_whatever_an_epoch_is(pictures):
    order = [index for epoch in stream(10, pictures, 40) for index in epoch]
    whole = len(order) // 10
    passes = [order[10 * each : 10 * each + 10] for each in range(whole)]
    assert all(sorted(each) == list(range(10)) for each in passes)
    assert len({tuple(each) for each in passes}) > 1 or whole < 2, 'each pass is shuffled'
    assert order[: 10 * whole] == [index for epoch in stream(10, 10, whole) for index in epoch]


def test_in_order_without_shuffling():
    assert stream(4, 6, 2, shuffle=False) == [[0, 1, 2, 3, 0, 1], [2, 3, 0, 1, 2, 3]]


def test_processes_share_an_epoch(monkeypatch):
    parts: dict[int, list[list[int]]] = {}  # by epoch, of each rank
    for rank in range(3):
        monkeypatch.setattr('mmengine.dataset.sampler.get_dist_info', lambda rank=rank: (rank, 3))
        sampler = PartialEpochs(range(20), 8, seed=3)
        for epoch in range(10):
            sampler.set_epoch(epoch)
            parts.setdefault(epoch, []).append(list(sampler))
    assert all([len(part) for part in each] == [2, 2, 2] for each in parts.values())
    monkeypatch.undo()
    for epoch, each in parts.items():
        assert Counter(index for part in each for index in part) == Counter(stream(20, 6, 10)[epoch])
    seen = Counter(index for each in parts.values() for part in each for index in part)
    assert set(seen.values()) == {3}, 'the 2 of 8 pictures that 3 processes cannot share come in the next epoch'
    with pytest.raises(ValueError, match='pictures=0; it is at least 1'):
        PartialEpochs(range(20), 0, seed=3)
