"""Canvases in shards: what is read is what was written, and every sample comes once, whoever reads."""

import io
import json
import pickle
import random
import shutil
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.dataset import default_collate
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

from looc_mm.datasets import CanvasShards, ImageFolder, ShardSampler
from looc_mm.datasets import shards as shards_module
from looc_mm.datasets.pack import pack_canvases
from looc_mm.datasets.shards import read_canvases, shard_path
from looc_mm.datasets.transforms import to_square
from looc_mm.registry import DATA_SAMPLERS, DATASETS

FACTORS = dict(
    type='Factors',
    length=23,
    size=64,
    pipeline=[dict(type='LoadCanvas', size=48), dict(type='PackCanvas', label_keys=['shape', 'color', 'angle'])],
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory, photographs) -> Path:
    """Seventeen pictures in two classes, each of another size."""
    root = tmp_path_factory.mktemp('labelled')
    for index in range(17):
        path = root / ('cat', 'dog')[index % 2] / f'{index}.{"png" if index % 3 else "jpg"}'
        path.parent.mkdir(exist_ok=True)
        piece = photographs[index % 2][20 * index : 20 * index + 90 + index, 10 * index : 10 * index + 120]
        cv2.imwrite(str(path), piece[..., ::-1])
    return root


def source(folder: Path, size: int = 64) -> dict:
    pipeline = [dict(type='LoadCanvas', size=size), dict(type='PackCanvas')]
    return dict(type='ImageFolder', data_root=str(folder), with_label=True, pipeline=pipeline)


@pytest.fixture(scope='module')
def shards(folder, tmp_path_factory) -> Path:
    """The folder's canvases in four shards of five, the last of them of two."""
    out = tmp_path_factory.mktemp('shards')
    assert pack_canvases(source(folder), out, per_shard=5).made == 4
    return out


@pytest.fixture
def copy(shards, tmp_path) -> Path:
    return Path(shutil.copytree(shards, tmp_path / 'copy'))


def test_canvases_labels_and_sizes_come_back(folder, shards):
    original = ImageFolder(**{key: value for key, value in source(folder).items() if key != 'type'})
    expected = {original.get_data_info(row)['img_path']: original[row] for row in range(17)}
    dataset = CanvasShards(str(shards))
    assert dataset.metainfo['classes'] == ('cat', 'dog') and len(dataset) == 17
    seen = set()
    for row in range(17):
        shard = dataset.get_data_info(row)['shard']
        path = json.loads(shard_path(shards, shard).with_suffix('.json').read_text())['columns']['path'][row % 5]
        sample, wanted = dataset[row], expected[str(folder / path)]
        error = sample['inputs'].float() - wanted['inputs'].float()
        assert 10 * torch.log10(255**2 / error.square().mean()) > 32, 'dB, and far less for another picture'
        assert torch.equal(sample['image_size'], wanted['image_size']) and sample['labels'] == wanted['labels']
        seen.add(path)
    assert len(seen) == 17
    assert sorted(dataset.get_gt_labels()) == [0] * 9 + [1] * 8


def test_datasets_without_files_keep_all_their_labels(tmp_path):
    pack_canvases(FACTORS, tmp_path, per_shard=10)
    labels = default_collate([CanvasShards(str(tmp_path))[row] for row in range(23)])['labels']
    assert set(labels) == {'shape', 'color', 'angle'} and len(labels['shape'].unique()) > 4
    assert labels['shape'].dtype == torch.int64 and labels['angle'].dtype == torch.float64
    angles = [DATASETS.build(FACTORS)[row]['labels']['angle'] for row in range(23)]
    assert sorted(labels['angle'].tolist()) == sorted(angles), 'shards have an order of their own'


def test_the_tars_alone_are_a_webdataset(folder, shards):
    paths = set()
    for path in sorted(shards.glob('*.tar')):
        with tarfile.open(path) as tar:
            members = [(member.name, tar.extractfile(member).read()) for member in tar]
        for (jpg, canvas), (note, text) in zip(members[::2], members[1::2], strict=True):
            assert jpg == note.replace('.json', '.jpg')
            assert cv2.imdecode(np.frombuffer(canvas, np.uint8), cv2.IMREAD_COLOR).shape == (64, 64, 3)
            content = json.loads(text)
            height, width = cv2.imread(str(folder / content['path'])).shape[:2]
            assert content == {
                'path': content['path'],
                'height': height,
                'width': width,
                'gt_label': ('cat', 'dog').index(content['path'].split('/')[0]),
            }
            paths.add(content['path'])
    assert len(paths) == 17


def test_webdataset_reads_them(shards):
    webdataset = pytest.importorskip('webdataset')
    samples = list(webdataset.WebDataset([str(path) for path in sorted(shards.glob('*.tar'))], shardshuffle=False))
    assert len(samples) == 17 and {'jpg', 'json'} <= set(samples[0])


def test_smaller_canvases_are_resized_and_larger_refused(shards):
    small = CanvasShards(str(shards), size=40)[3]['inputs']
    whole = CanvasShards(str(shards))[3]['inputs'].permute(1, 2, 0).numpy()
    wanted = torch.from_numpy(to_square(whole, 40)).permute(2, 0, 1)
    assert torch.equal(small, wanted)
    with pytest.raises(ValueError, match=r'size=65.*are of 64 pixels.*--size 65'):
        CanvasShards(str(shards), size=65)


def test_subsets_and_pickling(shards):
    whole = CanvasShards(str(shards))
    for indices, rows in ((4, range(4)), (-3, range(14, 17)), ([9, 1], [9, 1])):
        subset = CanvasShards(str(shards), indices=indices)
        copy = pickle.loads(pickle.dumps(subset))
        assert len(copy) == len(rows)
        for sample, row in zip((copy[index] for index in range(len(rows))), rows, strict=True):
            assert torch.equal(sample['inputs'], whole[row]['inputs'])


def test_few_files_stay_open(tmp_path):
    pack_canvases({**FACTORS, 'length': 80}, tmp_path, per_shard=1)
    dataset = CanvasShards(str(tmp_path))
    assert len([dataset[row] for _ in range(2) for row in range(80)]) == 160
    opened = [path for path in Path('/proc/self/fd').iterdir() if path.is_symlink() and path.resolve().suffix == '.tar']
    assert len(opened) <= 64


def test_workers_read_what_one_process_reads(shards):
    dataset = CanvasShards(str(shards), read_ahead=True)
    alone = list(DataLoader(dataset, batch_size=4))  # opens files before the fork
    apart = list(DataLoader(dataset, batch_size=4, num_workers=2))
    assert len(alone) == len(apart) == 5
    for one, other in zip(alone, apart, strict=True):
        assert torch.equal(one['inputs'], other['inputs']) and torch.equal(one['image_size'], other['image_size'])


@pytest.mark.parametrize('name', ['000002.tar', '000002.json'])
def test_missing_and_truncated_shards_are_named_at_the_start(copy, name):
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(FileNotFoundError, match=rf'1 of 4 shards .*{name}.*pack_canvases\.py as before'):
        CanvasShards(str(copy))
    (copy / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf'{name} is missing'):
        CanvasShards(str(copy))


def test_a_folder_without_canvases_says_how_to_write_them(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'has no canvases\.json.*tools/pack_canvases\.py CONFIG'):
        CanvasShards(str(tmp_path))


def test_a_shard_that_changed_while_training(copy):
    dataset = CanvasShards(str(copy))
    tar = shard_path(copy, 0)
    tar.write_bytes(bytes(tar.stat().st_size))
    with pytest.raises(ValueError, match=r'000000\.tar is damaged: the picture at byte 512 differs.*--verify'):
        dataset[0]
    tar.write_bytes(b'')
    with pytest.raises(ValueError, match=r'000000\.tar is damaged'):
        dataset[1]


def flipped(content: bytes, bit: int) -> bytes:
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize('name', ['000001.tar', '000001.json', 'canvases.json'])
def test_a_flipped_bit_never_gives_another_picture_or_label(copy, name):
    """It is an error that names the file, or it is in what no dataset reads: a tar's headers, or JSON's spaces."""
    whole = (copy / name).read_bytes()
    wanted = [CanvasShards(str(copy))[row] for row in range(17)]
    refused = 0
    for bit in random.Random(0).sample(range(8 * len(whole)), 40):
        (copy / name).write_bytes(flipped(whole, bit))
        shards_module.open_file.cache_clear()
        try:
            dataset = CanvasShards(str(copy))
            found = [dataset[row] for row in range(17)]
        except (ValueError, FileNotFoundError) as error:
            assert name in str(error), (bit, error)
            refused += 1
            continue
        assert len(found) == len(wanted), bit
        for one, other in zip(found, wanted, strict=True):
            assert torch.equal(one['inputs'], other['inputs']) and one['labels'] == other['labels'], bit
            assert torch.equal(one['image_size'], other['image_size']), bit
    assert refused > (8 if name.endswith('tar') else 36), 'most of a tar of small pictures is headers and padding'


def test_every_bit_of_a_picture_counts(copy):
    tar = shard_path(copy, 2)
    whole = tar.read_bytes()
    start, length = (CanvasShards(str(copy)).get_data_info(12)[key] for key in ('offset', 'length'))
    for bit in range(8 * start, 8 * (start + length), 997):
        tar.write_bytes(flipped(whole, bit))
        shards_module.open_file.cache_clear()
        with pytest.raises(ValueError, match=rf'000002\.tar is damaged: the picture at byte {start:,} differs'):
            CanvasShards(str(copy))[12]


def test_canvases_of_an_older_version_are_written_again(folder, shards, copy):
    for path in copy.glob('*.json'):
        content = json.loads(path.read_text())
        content.pop('checksum')
        path.write_text(json.dumps(content))
    with pytest.raises(
        ValueError, match=r'canvases\.json is damaged or of an older version .* no checksum\. Delete it'
    ):
        CanvasShards(str(copy))
    assert pack_canvases(source(folder), copy, per_shard=5).made == 4
    assert {path.name: path.read_bytes() for path in copy.iterdir()} == {
        path.name: path.read_bytes() for path in shards.iterdir()
    }


def test_a_loader_of_any_config_reads_them(shards):
    pipeline = [dict(type='LoadCanvas', size=32), dict(type='PackCanvas', label_keys=['shape'])]
    loader = ConfigDict(
        dataset=dict(type='IN100', data_root='x', split='train', pipeline=pipeline),
        sampler=dict(type='DefaultSampler', shuffle=True),
        batch_size=2,
    )
    read_canvases(loader, 'data/canvases')
    assert loader.dataset == dict(
        type='CanvasShards', data_root='data/canvases', size=32, pipeline=pipeline[1:], read_ahead=True
    )
    assert loader.sampler == dict(type='ShardSampler', shuffle=True) and loader.batch_size == 2
    loader = ConfigDict(dataset=dict(FACTORS, indices=5), sampler=dict(type='InfiniteSampler'))
    read_canvases(loader, str(shards))
    assert loader.dataset.indices == 5, 'so many of what is there'
    assert loader.sampler.type == 'InfiniteSampler' and 'read_ahead' not in loader.dataset


def test_what_canvases_cannot_stand_for_is_refused():
    init_default_scope('looc_mm')
    stylized = dict(type='LoadStylized', source='a', stylized='b')
    with pytest.raises(ValueError, match=r'has LoadStylized, .*Train from the originals'):
        read_canvases(dict(dataset={**FACTORS, 'pipeline': [*FACTORS['pipeline'], stylized]}), 'x')
    with pytest.raises(ValueError, match=r"no LoadCanvas, \['LoadImageFromFile'\]"):
        read_canvases(dict(dataset=dict(type='IN100', pipeline=[dict(type='LoadImageFromFile')])), 'x')


# The sampler, which takes any dataset: here the length is all that counts.


def epoch(length: int, rank: int = 0, world: int = 1, number: int = 0, **options) -> list[int]:
    options = {'seed': 3, **options}
    sampler = DATA_SAMPLERS.build(dict(type='ShardSampler', dataset=range(length), **options))
    sampler.rank, sampler.world_size = rank, world
    share = -(-length // world) if sampler.round_up else -(-(length - rank) // world)
    sampler.num_samples, sampler.total_size = share, share * world if sampler.round_up else length
    sampler.set_epoch(number)
    indices = list(sampler)
    assert len(indices) == len(sampler)
    return indices


@pytest.mark.parametrize('length', [1, 7, 100, 1003])
@pytest.mark.parametrize('world', [1, 2, 3, 8])
@pytest.mark.parametrize('block, window', [(1, 1), (10, 3), (64, 8), (5000, 2)])
def test_every_sample_once_over_all_ranks_and_workers(length, world, block, window):
    for workers, batch in ((1, 1), (2, 4), (3, 5)):
        ranks = [epoch(length, rank, world, block=block, window=window) for rank in range(world)]
        dealt = [  # as a DataLoader deals its batches to its workers
            indices[start : start + batch]
            for indices in ranks
            for worker in range(workers)
            for start in range(worker * batch, len(indices), workers * batch)
        ]
        counts = np.bincount([index for part in dealt for index in part], minlength=length)
        assert len({len(indices) for indices in ranks}) == 1
        assert counts.min() >= 1 and counts.sum() - length == -length % world
    exact = [epoch(length, rank, world, block=block, window=window, round_up=False) for rank in range(world)]
    assert sorted(index for indices in exact for index in indices) == list(range(length))


def test_seed_and_epoch_decide(shards):
    first = epoch(500, block=20)
    assert epoch(500, block=20) == first
    assert epoch(500, block=20, number=1) != first and epoch(500, block=20, seed=4) != first
    assert epoch(9, shuffle=False) == list(range(9))
    assert epoch(9, 1, 2, shuffle=False) == [1, 3, 5, 7, 0], 'as DefaultSampler'
    with pytest.raises(ValueError, match='at least 1'):
        ShardSampler(range(5), block=0)


def test_the_disk_sees_few_blocks_at_a_time():
    order = np.array(epoch(20_000, block=100, window=8))
    for start in range(0, 20_000, 800):
        assert len(np.unique(order[start : start + 800] // 100)) == 8


def test_shuffling_is_as_good_as_uniform():
    """Over the epoch as far from where they stood, and in a window as mixed, as by a uniform shuffle."""
    length, rows = 20_000, np.arange(20_000)
    orders = [np.array(epoch(length, block=100, window=8, number=number)) for number in range(20)]
    uniform = [np.random.default_rng(number).permutation(length) for number in range(20)]
    moved, moved_uniformly = (np.mean([np.abs(np.argsort(each) - rows) for each in some]) for some in (orders, uniform))
    assert moved == pytest.approx(moved_uniformly, rel=0.05) and moved == pytest.approx(length / 3, rel=0.05)
    assert abs(np.mean([np.corrcoef(order, rows)[0, 1] for order in orders])) < 0.05
    together = np.mean([np.abs(np.diff(order)) == 1 for order in orders])
    assert together == pytest.approx(2 / 800, rel=0.2), 'of a window; 2 / length of a uniform shuffle'
    batches = np.array(epoch(length, block=100, window=8)).reshape(-1, 32)
    others = np.array(epoch(length, block=100, window=8, number=1)).reshape(-1, 32)
    together = [len(set(batches[0]) & set(other)) for other in others]
    assert max(together) <= 8, 'batches are made again'


def test_a_small_dataset_is_shuffled_uniformly():
    """The position of a sample is uniform: chi-squared over 10 x 10 cells of (where it was, where it went)."""
    cells = np.zeros((10, 10))
    for number in range(200):
        places = np.argsort(epoch(100, block=10, window=10, number=number))
        np.add.at(cells, (np.arange(100) // 10, places // 10), 1)
    assert ((cells - 200) ** 2 / 200).sum() < 130, '81 degrees of freedom: 99.9 % of draws are below'


def test_tars_are_deterministic(folder, shards, tmp_path):
    pack_canvases(source(folder), tmp_path, per_shard=5)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        path.name: path.read_bytes() for path in shards.iterdir()
    }
    with tarfile.open(fileobj=io.BytesIO(shard_path(shards, 0).read_bytes())) as tar:
        assert {(member.mtime, member.uid, member.mode) for member in tar} == {(0, 0, 0o644)}
