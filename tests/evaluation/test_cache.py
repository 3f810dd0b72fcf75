import os
import random
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.registry import init_default_scope
from torch.utils.data import ConcatDataset

from looc_mm.datasets import Factors, ImageFolder
from looc_mm.evaluation import FeatureSet, source
from looc_mm.evaluation import cache as cache_module
from looc_mm.evaluation.cache import FeatureCache, cache_key, data_hash

from .fake import FakeModel

PIPELINE = [dict(type='LoadCanvas', size=32), dict(type='PackCanvas', label_keys=['shape'])]


def factors(**kwargs) -> Factors:
    return Factors(**{'length': 12, 'pipeline': PIPELINE, **kwargs})


def test_the_key_follows_weights_data_transform_and_extraction(monkeypatch):
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
    monkeypatch.setattr(cache_module, 'VERSION', -1)
    assert cache_key(model, factors(), rotate=None) not in (key, *changed), 'another extraction, other features'
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
    made = FeatureSet({'V': torch.randn(3, 2)}, {'gt_label': torch.arange(3)})
    assert cache.read('a') is None
    cache.get('a', lambda: made)
    read = cache.get('a', lambda: pytest.fail('made again'))
    assert torch.equal(read.parts['V'], made.parts['V']) and torch.equal(read.labels['gt_label'], torch.arange(3))
    assert [path.name for path in (tmp_path / 'new').iterdir()] == ['a.pth'], 'no part is left'
    cache.path('a').write_bytes(cache.path('a').read_bytes()[:100])
    assert cache.read('a') is None


def equal(one: FeatureSet | None, other: FeatureSet) -> bool:
    if one is None or one.parts.keys() != other.parts.keys() or one.labels.keys() != other.labels.keys():
        return False
    pairs = [(one.parts, other.parts), (one.labels, other.labels)]
    return all(torch.equal(own[name], theirs[name]) for own, theirs in pairs for name in theirs)


def test_a_damaged_file_is_never_scored(tmp_path, warnings_of):
    """A flipped bit or a cut is found, or changes no value (the padding between entries)."""
    cache = FeatureCache(tmp_path)
    made = FeatureSet({'V': torch.randn(30, 8)}, {'gt_label': torch.arange(30)})
    cache.get('a', lambda: made)
    path, whole = cache.path('a'), cache.path('a').read_bytes()
    start, rng = whole.index(made.parts['V'].numpy().tobytes()), random.Random(0)
    weights = [8 * start + rng.randrange(8 * 960) for _ in range(20)]
    for bit in [*weights, *rng.sample(range(8 * len(whole)), 60)]:
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        warnings_of.clear()
        found = cache.read('a')
        assert (found is None) == bool(warnings_of)
        assert found is None if bit in weights else found is None or equal(found, made), bit
    for length in [0, 1, *rng.sample(range(len(whole)), 20)]:
        path.write_bytes(whole[:length])
        warnings_of.clear()
        assert cache.read('a') is None, length
        assert len(warnings_of) == 1 and f'The features in {path} are damaged' in warnings_of[0]
    assert cache.get('a', lambda: made) is made and equal(cache.read('a'), made), 'made and written again'


def test_a_file_of_another_content_is_made_again(tmp_path, warnings_of):
    made = FeatureSet({'V': torch.ones(2, 2)}, {'gt_label': torch.arange(2)})
    for content in ({'parts': {}}, [1, 2], torch.ones(3), {'parts': {'V': print}, 'labels': {}}):
        torch.save(content, tmp_path / 'a.pth')
        assert FeatureCache(tmp_path).read('a') is None and 'are damaged or cannot be read' in warnings_of.pop()
    FeatureCache(tmp_path).get('a', lambda: made)
    assert equal(FeatureCache(tmp_path).read('a'), made)


def test_a_cache_that_cannot_be_written_ends_no_evaluation(tmp_path, warnings_of):
    """A file where the folder should be; the disk may also be full or mounted for reading."""
    (tmp_path / 'file').touch()
    made = FeatureSet({'V': torch.ones(2, 2)}, {'gt_label': torch.arange(2)})
    for folder in (tmp_path / 'file', tmp_path / 'file/cache', Path('/dev/null')):
        assert FeatureCache(folder).get('a', lambda: made) is made
        assert warnings_of.pop().startswith(f'The cache {folder} cannot be written: ')
    assert not warnings_of


def test_a_full_disk_ends_no_evaluation(tmp_path, warnings_of, monkeypatch):
    def full(content, path):
        path.write_bytes(b'half')
        raise RuntimeError('PytorchStreamWriter failed writing file data/0: file write failed')

    monkeypatch.setattr(torch, 'save', full)
    made = FeatureSet({'V': torch.ones(2, 2)}, {'gt_label': torch.arange(2)})
    assert FeatureCache(tmp_path).get('a', lambda: made) is made
    assert 'file write failed. The evaluation goes on' in warnings_of.pop()
    assert not list(tmp_path.iterdir()), 'no half of a file is left'


def test_a_second_run_extracts_nothing_and_gives_the_same(build_runner, tmp_path, monkeypatch):
    run = dict(protocols=[dict(type='LinearProbe')], cache=str(tmp_path / 'cache'))
    first = build_runner(**run)
    metrics = first.test()
    assert len(list((tmp_path / 'cache').iterdir())) == 2
    monkeypatch.setattr(source, 'extract', lambda *args: pytest.fail('extracted again'))
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
    """Sets have another order in every process."""
    cv2.imwrite(str(tmp_path / 'a.png'), photographs[0][:20, :20])
    keys = set()
    for hash_seed in ('1', '2'):
        environment = {**os.environ, 'PYTHONHASHSEED': hash_seed, 'PYTHONPATH': str(Path(__file__).parents[2])}
        run = subprocess.run([sys.executable, '-c', KEY, tmp_path], env=environment, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        keys.add(run.stdout.strip())
    assert len(keys) == 1


def test_two_hosts_without_a_shared_folder_do_not_wait_for_each_other(tmp_path):
    """One has the features of a first run, the other does not: both extract."""
    torch.manual_seed(0)
    torch.save(FakeModel().state_dict(), tmp_path / 'model.pth')
    worker = Path(__file__).with_name('two_hosts.py')
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2', worker, tmp_path]
    subprocess.run([str(part) for part in command], check=True, timeout=120)
    first, second = ([torch.load(tmp_path / f'{run}_{rank}.pth') for rank in (0, 1)] for run in (1, 2))
    assert torch.equal(first[0], first[1]) and torch.equal(second[0], first[0]) and torch.equal(second[1], first[0])
    assert list((tmp_path / 'host_0').iterdir()) and not (tmp_path / 'host_1').exists()


def test_the_hash_of_pictures_goes_by_their_names(tmp_path):
    """Not by where they are: a folder that was moved holds the same pictures, one of the same name may hold others."""

    def folder(*paths: str) -> ImageFolder:
        root = tmp_path / str(len(list(tmp_path.iterdir()))) / 'data'
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).touch()
        return ImageFolder(str(root), with_label=True)

    one = data_hash(folder('a/1.png', 'b/1.png'))
    assert data_hash(folder('a/1.png', 'b/1.png')) == one
    others = [folder('a/1.png', 'b/2.png'), folder('a/1.png', 'c/1.png'), folder('a/1.png', 'b/1.png', 'b/2.png')]
    assert len({one, *map(data_hash, others)}) == 4
    assert data_hash(Factors(4)) == data_hash(Factors(4)) != data_hash(Factors(4, seed=1)) != data_hash(Factors(5))
    both = ConcatDataset([Factors(4), Factors(4, seed=1)])
    assert (
        data_hash(both) == data_hash(ConcatDataset([*both.datasets])) != data_hash(ConcatDataset(both.datasets[::-1]))
    )
