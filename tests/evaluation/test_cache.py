import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.registry import init_default_scope

from looc_mm.datasets import Factors, ImageFolder
from looc_mm.evaluation import FeatureBank, loop
from looc_mm.evaluation.cache import FeatureCache, cache_key

from .fake import FakeModel

PIPELINE = [dict(type='LoadCanvas', size=32), dict(type='PackCanvas', label_keys=['shape'])]


def factors(**kwargs) -> Factors:
    return Factors(**{'length': 12, 'pipeline': PIPELINE, **kwargs})


def test_the_key_follows_weights_data_transform_and_extraction():
    init_default_scope('looc_mm')
    torch.manual_seed(0)
    model = FakeModel()
    other = FakeModel()
    key = cache_key(model, factors(), rotate=None)
    assert key == cache_key(model, factors(), rotate=None)
    with torch.no_grad():
        other.backbone[0].weight[0, 0, 0, 0] += 1e-6
    changed = [
        cache_key(other, factors(), rotate=None),
        cache_key(model, factors(length=13), rotate=None),
        cache_key(model, factors(seed=1), rotate=None),
        cache_key(model, factors(split='test'), rotate=None),
        cache_key(model, factors(pipeline=[dict(type='LoadCanvas', size=33), PIPELINE[1]]), rotate=None),
        cache_key(model, factors(), rotate='all'),
    ]
    assert len({key, *changed}) == 7
    assert cache_key(model, torch.utils.data.TensorDataset(torch.zeros(3))) is None, 'who knows what it holds'


def test_a_changed_image_changes_the_key(tmp_path, photographs):
    init_default_scope('looc_mm')
    cv2.imwrite(str(tmp_path / 'a.png'), photographs[0][:20, :20])
    data = ImageFolder(str(tmp_path), pipeline=PIPELINE)
    torch.manual_seed(0)
    model = FakeModel()
    before = cache_key(model, data)
    cv2.imwrite(str(tmp_path / 'a.png'), photographs[1][:20, :20])
    assert cache_key(model, data) != before


def test_what_is_written_is_read_and_a_broken_file_is_none(tmp_path):
    cache = FeatureCache(tmp_path / 'new')
    bank = FeatureBank({'V': torch.randn(3, 2)}, {'gt_label': torch.arange(3)})
    assert cache.read('a') is None
    cache.write('a', bank)
    read = cache.read('a')
    assert torch.equal(read.parts['V'], bank.parts['V']) and torch.equal(read.labels['gt_label'], torch.arange(3))
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['a.pth'], 'no part is left'
    cache.path('a').write_bytes(cache.path('a').read_bytes()[:100])
    assert cache.read('a') is None


def test_a_second_run_extracts_nothing_and_gives_the_same(build_runner, tmp_path, monkeypatch):
    run = dict(protocols=[dict(type='LinearProbe')], cache=str(tmp_path / 'cache'))
    first = build_runner(**run)
    metrics = first.test()
    assert len(list((tmp_path / 'cache').iterdir())) == 2
    monkeypatch.setattr(loop, 'extract_bank', lambda *args: pytest.fail('extracted again'))
    second = build_runner(**run)
    second.model.load_state_dict(first.model.state_dict())
    assert second.test() == metrics


KEY = """
import sys
import torch
from mmengine.registry import init_default_scope
from looc_mm.datasets import ImageFolder
from looc_mm.evaluation.cache import cache_key
from tests.evaluation.fake import FakeModel
init_default_scope('looc_mm')
torch.manual_seed(0)
pipeline = [dict(type='LoadCanvas', size=32), dict(type='PackCanvas')]
print(cache_key(FakeModel(), ImageFolder(sys.argv[1], pipeline=pipeline), rotate=None))
"""


def test_the_key_is_the_same_in_another_process(tmp_path, photographs):
    """Sets are ordered anew in every process."""
    cv2.imwrite(str(tmp_path / 'a.png'), photographs[0][:20, :20])
    keys = set()
    for hash_seed in ('1', '2'):
        environment = {**os.environ, 'PYTHONHASHSEED': hash_seed, 'PYTHONPATH': str(Path(__file__).parents[2])}
        run = subprocess.run([sys.executable, '-c', KEY, tmp_path], env=environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        keys.add(run.stdout.strip())
    assert len(keys) == 1
