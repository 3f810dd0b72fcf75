"""The speed is that of steps after the first ones, and measuring slow steps ends soon."""

from itertools import accumulate

import pytest
from mmengine.config import Config

from looc_mm.configs import find_config
from looc_mm.pretraining import measure


@pytest.fixture
def cfg() -> Config:
    """A training of toy size: two batches of eight pictures."""
    cfg = Config.fromfile(find_config('looc_factors'))
    cfg.model.backbone.update(stem_channels=8, base_channels=8)
    cfg.model.neck.update(in_channels=64, queue_len=8)
    cfg.model.data_preprocessor.pipeline.augmentations[0].size = 32
    cfg.train_dataloader.update(batch_size=8, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.length = 16
    return cfg


@pytest.mark.parametrize(
    ('durations', 'step', 'ready'),
    [
        ([6, 5, 4, 3] + 16 * [0.25] + [5 * 0.125], 0.25, 0.125),  # four steps of warm-up, 16 that count, 5 on one batch
        ([20, 20, 20, 10], 20, 2),  # three steps take longer than the limit
        ([1, 10, 10, 8, 2, 10], 5, 2),  # the limit is passed in the fifth step, of which two count
    ],
)
def test_what_counts(cfg, monkeypatch, durations, step, ready):
    clock = accumulate(durations, initial=100.0)
    monkeypatch.setattr(measure, '_now', lambda device: next(clock))
    found = measure.measure_speed(cfg, limit=30)
    assert (found.step, found.ready) == (pytest.approx(step), pytest.approx(ready))
    assert next(clock, None) is None, 'as many steps as expected'


def test_the_clock_runs(cfg):
    found = measure.measure_speed(cfg)
    assert 0 < found.ready < 60 and 0 < found.step < 60
