"""The benchmark of a step runs, and its arithmetic is that of the steps; nothing here is timed."""

from argparse import Namespace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tests.models.test_multi_head_moco import build, views

from .conftest import BENCHMARKS


@pytest.fixture
def step(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import step

    return step


def test_it_reports_every_case(run_benchmark):
    listed, ratios, _ = run_benchmark('step', '--depth', 18, '--size', 32, '--batch', 4, '--rounds', 1)
    rows = {row['case']: row for row in listed}
    assert list(rows) == ['MoCo v2', 'LooC(1)', 'LooC(2)', 'LooC++(1)', "MMPreTrain's MoCo v2"]
    assert rows['LooC(2)']['arithmetic'] == 1.5 and rows['MoCo v2']['memory / MoCo v2'] == 1
    assert rows['MoCo v2']['peak MiB'] < rows['LooC(1)']['peak MiB'] < rows['LooC++(1)']['peak MiB']
    assert {'time of LooC(2) / MoCo v2', 'memory of LooC(2) / MoCo v2'} <= set(ratios)
    assert all(row['ms a step'] > 0 for row in rows.values())


def test_arithmetic_is_that_of_resnet_50(step):
    assert [step.arithmetic(n) for n in range(4)] == [1, 1.25, 1.5, 1.75]
    assert [step.arithmetic(n, 0.198) for n in (1, 2, 3)] == pytest.approx([1.45, 1.99, 2.64], abs=0.01)


@pytest.mark.parametrize('plus', [False, True], ids=['LooC', 'LooC++'])
def test_a_step_computes_what_arithmetic_says_and_nothing_else(step, plus):
    options = dict(
        backbone=dict(type='ResNet', depth=18),
        neck=dict(type='QueuePerHeadNeck', in_channels=512, hid_channels=16, out_channels=8, queue_len=16),
    )

    def flops(model):
        with FlopCounterMode(display=False) as counter:
            model.loss(views(model, batch=2))['loss'].backward()
        return counter.get_total_flops()

    moco, looc = build([], **options), build(last_stage_per_space=plus, **options)
    share = step.last_stage_share(Namespace(depth=18, size=32)) if plus else 0
    assert flops(looc) / flops(moco) == pytest.approx(step.arithmetic(2, share), rel=0.03)


def test_added_memory_is_the_most_that_is_held_at_once(step):
    def work():
        first = torch.empty(1000)
        del first
        second, third = torch.empty(500), torch.empty(1500)
        return second, third

    if step.DEVICE.type == 'cpu':
        assert step.added_memory(work) == pytest.approx(8000, abs=256)
