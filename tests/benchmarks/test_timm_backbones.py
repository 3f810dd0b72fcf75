"""The benchmark of timm's backbones runs; nothing here is timed."""

import re
from pathlib import Path

import pytest

pytest.importorskip('timm')

import timm  # noqa: E402

from .conftest import BENCHMARKS  # noqa: E402


def test_a_small_network(run_benchmark):
    options = ('--only', 'resnet10t|mobilenetv3_small_050', '--steps', 4, '--batch', 8, '--size', 32, '--rounds', 0)
    rows, ratios, _ = run_benchmark('timm_backbones', *options)
    found = {row['backbone']: row for row in rows}
    assert {name: row['LooC++'] for name, row in found.items()} == {'resnet10t': 'yes', 'mobilenetv3_small_050': 'no'}
    assert ratios == {}
    for row in rows:
        assert 0 <= float(row['P of rotation']) <= 1 and 0 < row['images in P'] <= 2 * 8
        assert row['equal with channels_last'] == 'yes' and float(row['export difference']) < 1e-3


def test_the_page_lists_the_backbones(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from timm_backbones import BACKBONES

    assert len(BACKBONES) == 12 and set(BACKBONES) <= set(timm.list_models())
    page = (Path(__file__).parents[2] / 'docs/backbones.md').read_text()
    listed = re.findall(r'`(\w+)`', page.partition('## Twelve backbones')[2].partition('\n## ')[0])
    assert set(BACKBONES) <= set(listed)
