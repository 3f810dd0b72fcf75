"""A checkpoint of an earlier version is evaluated, resumed and scored as it was then."""

import pytest
import torch

from .records import all_records
from .reference import read
from .tiny import CHECKPOINT, IMAGES, REFERENCE, train

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason='the reference is of a CPU')


def test_scores():
    reference, same_platform = read(REFERENCE)
    records = all_records(CHECKPOINT, IMAGES)
    if same_platform:
        assert records == reference['records']
        return
    for got, expected in zip(records, reference['records'], strict=True):
        for name in ('value', 'ci'):
            if expected.get(name) is not None:
                assert got.pop(name) == pytest.approx(expected.pop(name), rel=1e-4, abs=tolerance(got['metric'])), got
        assert got == expected


def tolerance(metric: str) -> float:
    """How much rounding may change a value on another platform: one test image where images are counted."""
    continuous = any(word in metric for word in ('cosine', 'share', 'entropy'))
    return 1e-5 if continuous else 100 / (IMAGES // 2)


def test_resumed(tmp_path, monkeypatch):
    reference, same_platform = read(REFERENCE)
    monkeypatch.chdir(tmp_path)
    steps = train('--resume', CHECKPOINT)
    if same_platform:
        assert steps == reference['resumed']
        return
    for got, expected in zip(steps, reference['resumed'], strict=True):
        for name, value in got.items():
            image = 6.25 if name.startswith('top1') else 0
            assert value == pytest.approx(expected[name], rel=1e-5, abs=image), name
        assert got.keys() == expected.keys()
