"""Canvases that were written once, read from sequential shards: for few cores, remote disks, data beyond one machine.

A shard is a tar in WebDataset's layout, which any tool opens: ``<key>.jpg``, the canvas, and ``<key>.json``, its
original's path, height and width, and the labels. An index beside it has the position and the CRC-32 of each canvas in
the tar, and a checksum of the index: a damaged file is an error that names it, and never another picture or label.

It is read as a dataset with a length and random access, so that samplers, resuming and evaluation are the same as
on any other, and no picture is lost or doubled whatever the number of ranks and workers. That is why webdataset's
own loader is not used: it deals whole shards, so that ranks get epochs of unequal length, or draws with repeats.
docs/datasets.md compares the formats.
"""

import io
import json
import os
import tarfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
from mmengine.dataset import DefaultSampler

from looc_mm.files import read_checked
from looc_mm.registry import DATA_SAMPLERS, DATASETS, TRANSFORMS
from looc_mm.stack import BaseDataset

from .checks import build_pipeline
from .decoding import decode_bytes
from .stylized import LoadStylized
from .transforms import LoadCanvas, to_square

SETTINGS = 'canvases.json'  # what the shards of a folder were made with, and how many they are
OPEN_SHARDS = 64  # files that a process keeps open
READ_AHEAD = 128 * 1024  # bytes; the kernel cuts longer requests, to as little as this


def shard_path(folder: str | Path, shard: int) -> Path:
    """The tar of a shard; its index has the same name with ``.json``."""
    return Path(folder, f'{shard:06d}.tar')


def index_of(tar: bytes) -> dict[str, Any]:
    """The index of a shard: ``bytes``, ``sha256`` and ``columns``, lists with one entry for each canvas."""
    columns = defaultdict(list)
    with tarfile.open(fileobj=io.BytesIO(tar)) as members:
        for member in members:
            start, end = member.offset_data, member.offset_data + member.size
            if member.name.endswith('.jpg'):
                columns['offset'].append(start)
                columns['length'].append(member.size)
                columns['crc32'].append(zlib.crc32(tar[start:end]))
            else:
                for key, value in json.loads(tar[start:end]).items():
                    columns[key].append(value)
    return {'bytes': len(tar), 'sha256': sha256(tar).hexdigest(), 'columns': dict(columns)}


def read_index(tar: Path) -> dict[str, Any] | str:
    """The index of a shard, or what is missing or damaged; the content of the tar is not read."""
    index = tar.with_suffix('.json')
    for path in (tar, index):
        if not path.exists():
            return f'{path.name} is missing'
    try:
        content = read_checked(index)
    except ValueError as error:
        return str(error)
    size = tar.stat().st_size
    return content if size == content['bytes'] else f'{tar.name} has {size:,} of {content["bytes"]:,} bytes'


def read_settings(folder: Path) -> dict[str, Any]:
    """What the shards in a folder were made with.

    Raises:
        FileNotFoundError: There are none.
        ValueError: The file of settings is damaged.
    """
    path = folder / SETTINGS
    if not path.is_file():
        raise FileNotFoundError(
            f'{folder} ({folder.absolute()}) has no {SETTINGS}, and so no canvases. Write them with `python '
            f'tools/pack_canvases.py CONFIG {folder}`, or give the folder that has them'
        )
    try:
        return read_checked(path)
    except ValueError as error:
        raise ValueError(
            f'{error}. Delete it and write the canvases again with the same settings, `python tools/pack_canvases.py '
            f'CONFIG {folder}`: shards that are whole are kept'
        ) from error


def split_pipeline(dataset: Mapping[str, Any]) -> tuple[list[dict], list[dict]]:
    """The steps of a dataset's config that make the canvas, up to ``LoadCanvas``, and those that follow.

    Raises:
        ValueError: There is no ``LoadCanvas``, or there are stylised candidates, which canvases in shards do not have.
    """
    steps = list(dataset.get('pipeline', ()))
    kinds = [TRANSFORMS.get(step['type']) for step in steps]
    if LoadCanvas not in kinds:
        raise ValueError(
            f'The pipeline of {dataset["type"]} has no LoadCanvas, {[step["type"] for step in steps]}; canvases in '
            'shards take the place of that step. Give a config whose train_dataloader.dataset has it, as those for '
            'pretraining do'
        )
    if LoadStylized in kinds:
        raise ValueError(
            f'The pipeline of {dataset["type"]} has LoadStylized, which reads files beside the originals; canvases in '
            'shards are the pictures alone. Train from the originals, or without StylizedTexture and LoadStylized'
        )
    after = kinds.index(LoadCanvas) + 1
    if steps[after - 1].get('in_channels') is not None:
        raise ValueError(
            f'The pictures of {dataset["type"]} have in_channels={steps[after - 1]["in_channels"]}; canvases in shards '
            'are JPEGs of 8-bit RGB. Train from the originals'
        )
    return steps[:after], steps[after:]


def read_canvases(loader: dict, folder: str) -> None:
    """Make the config of a dataloader read canvases from shards instead of its dataset, all else being kept.

    ``ShardSampler`` takes the place of a ``DefaultSampler``, and shards are read ahead for it. The dataset's
    ``indices`` stay, now of canvases in their order.

    Args:
        loader: The config; changed in place.
        folder: Where the shards are.

    Raises:
        ValueError: If canvases cannot replace the dataset, see ``split_pipeline``.
    """
    making, following = split_pipeline(loader['dataset'])
    size = TRANSFORMS.build(making[-1]).size
    some = {'indices': loader['dataset']['indices']} if 'indices' in loader['dataset'] else {}
    loader['dataset'] = dict(type='CanvasShards', data_root=folder, size=size, pipeline=following, **some)
    if loader['sampler']['type'] == 'DefaultSampler':
        loader['sampler']['type'] = 'ShardSampler'
        loader['dataset']['read_ahead'] = True


@DATASETS.register_module()
class CanvasShards(BaseDataset):
    """Canvases that ``tools/pack_canvases.py`` wrote.

    Args:
        data_root: Their folder.
        size: Side of the canvas, in pixels; by default as they were written. Smaller ones are resized from those.
        pipeline: What follows ``LoadCanvas`` in other datasets, transforms or configs of them; by default
            ``PackCanvas`` with all labels there are.
        read_ahead: When a process first reads from a shard, ask the disk for all of it. For ``ShardSampler``, which
            soon needs the rest; under another order a shard would be read for each canvas.
        **kwargs: The other arguments of MMPreTrain's ``BaseDataset``.

    Raises:
        FileNotFoundError: There are no canvases in the folder, or shards are missing or cut short, or an index is
            damaged.
        ValueError: They are smaller than ``size``, or the file of settings is damaged.
    """

    published: ClassVar[Any] = 'the canvases are your own; tools/pack_canvases.py --verify checks them'

    def __init__(
        self,
        data_root: str,
        size: int | None = None,
        pipeline: Sequence[dict | Callable] | None = None,
        read_ahead: bool = False,
        **kwargs: Any,
    ) -> None:
        root = Path(data_root).expanduser()
        settings = read_settings(root)
        self.shards, self.labels = settings['shards'], tuple(settings['labels'])
        self.written_size = settings['size']
        self.size = size or self.written_size
        if not 1 <= self.size <= self.written_size:
            raise ValueError(
                f'CanvasShards got size={size}, and the canvases in {root} are of {self.written_size} pixels, which '
                f'cannot be enlarged. Write others with tools/pack_canvases.py --size {size}, or set a smaller size'
            )
        self.read_ahead = read_ahead
        if pipeline is None:
            pipeline = [dict(type='PackCanvas', label_keys=self.labels)]
        super().__init__(
            ann_file='',
            metainfo={key: tuple(names) for key, names in settings['metainfo'].items()},
            data_root=str(root),
            pipeline=build_pipeline(pipeline),
            serialize_data=False,
            **kwargs,
        )

    def load_data_list(self) -> '_Rows':
        """List the position of each canvas, ``ori_shape`` and the labels; 28 bytes each, 8 more for each label.

        Raises:
            FileNotFoundError: Shards are missing or cut short, or an index is damaged.
        """
        found = [read_index(shard_path(self.data_root, shard)) for shard in range(self.shards)]
        wrong = [problem for problem in found if isinstance(problem, str)]
        if wrong:
            raise FileNotFoundError(
                f'{self.data_root}: {len(wrong)} of {self.shards} shards are missing, cut short or damaged, '
                f'first: {wrong[0]}. Copy them again, or start tools/pack_canvases.py as before: it makes those that '
                'are missing'
            )
        whole = [index for index in found if isinstance(index, dict)]
        self.checksums = tuple(index['sha256'] for index in whole)  # by which cached features know what they are of
        fields = [('offset', 'i8'), ('length', 'i4'), ('crc32', 'u4'), ('height', 'i4'), ('width', 'i4')]
        for label in self.labels:
            numbers = any(isinstance(value, float) for index in whole for value in index['columns'].get(label, ()))
            fields.append((label, 'f8' if numbers else 'i8'))
        table = np.empty(sum(len(index['columns'].get('offset', ())) for index in whole), [('shard', 'i4'), *fields])
        for name, _ in fields:
            table[name] = [value for index in whole for value in index['columns'].get(name, ())]
        table['shard'] = [shard for shard, index in enumerate(whole) for _ in index['columns'].get('offset', ())]
        return _Rows(table)

    def prepare_data(self, idx: int) -> Any:
        """Decode a canvas and run the pipeline.

        Args:
            idx: Index into this dataset, or into the subset that was taken of it.

        Raises:
            ValueError: The shard changed since it was written.
        """
        row = self.get_data_info(idx)
        path = shard_path(self.data_root, row['shard'])
        jpeg = read_at(open_file(path, self.read_ahead), row['length'], row['offset'])
        if zlib.crc32(jpeg) != row.pop('crc32'):
            raise ValueError(
                f'{path} is damaged: the picture at byte {row["offset"]:,} differs from its checksum. Look with '
                f'`python tools/pack_canvases.py --verify {self.data_root}` for all that is broken'
            )
        img = decode_bytes(jpeg, f'{path}, byte {row["offset"]:,}').img
        row['img'] = img if self.size == self.written_size else to_square(img, self.size)
        return self.pipeline(row)


class _Rows(Sequence[dict]):
    """A list of samples, made from a table when they are asked for: processes share the table, as lists they cannot."""

    def __init__(self, table: np.ndarray) -> None:
        self.table = table

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return _Rows(self.table[index])
        row = dict(zip(self.table.dtype.names or (), self.table[index].item(), strict=True))
        row['ori_shape'] = row.pop('height'), row.pop('width')
        return row


@lru_cache(OPEN_SHARDS)
def open_file(path: Path, read_ahead: bool) -> BinaryIO:
    """A shard, which each process opens separately when it first reads from it, and closes when it goes out of use."""
    file = open(path, 'rb', buffering=0)  # noqa: SIM115, it stays open
    if read_ahead and hasattr(os, 'posix_fadvise'):  # not on macOS
        for start in range(0, path.stat().st_size, READ_AHEAD):
            os.posix_fadvise(file.fileno(), start, READ_AHEAD, os.POSIX_FADV_WILLNEED)
    return file


def read_at(file: BinaryIO, length: int, offset: int) -> bytes:
    """Bytes at a place of a file; with ``pread``, which Windows lacks, forked processes may share the file."""
    if hasattr(os, 'pread'):
        return os.pread(file.fileno(), length, offset)
    file.seek(offset)
    return file.read(length)


@DATA_SAMPLERS.register_module()
class ShardSampler(DefaultSampler):
    """Shuffles so that what is read within a while is adjacent on the disk, for disks that are slow to seek.

    The dataset is cut into blocks of neighbours, and the blocks are shuffled. Each rank gets an equal share of that
    order, its pieces in succession, and shuffles it within a window of several blocks. As with ``DefaultSampler`` every
    sample comes once an epoch over all ranks, the order follows from the seed and the epoch, and with
    ``round_up`` some come twice so that ranks have the same number. Within a window it is uniform; a
    dataset that is no larger than one is shuffled as by ``DefaultSampler``.

    Samples that are neighbours in the dataset will often meet in a batch, for which the order in the shards is random.

    Args:
        dataset: Any dataset.
        block: Neighbours to a block.
        window: Blocks to a window.
        **kwargs: The arguments of ``DefaultSampler``: ``shuffle``, ``seed`` and ``round_up``.

    Raises:
        ValueError: ``block`` or ``window`` is below 1.
    """

    def __init__(self, dataset: Any, block: int = 1000, window: int = 8, **kwargs: Any) -> None:
        if block < 1 or window < 1:
            raise ValueError(f'ShardSampler got block={block} and window={window}; both must be at least 1')
        super().__init__(dataset, **kwargs)
        self.block, self.window = block, window

    def __iter__(self) -> Iterator[int]:
        """Iterate over the indices of this rank."""
        if not self.shuffle:
            yield from super().__iter__()
            return
        rng = np.random.default_rng((self.seed, self.epoch))
        starts = rng.permutation(np.arange(0, len(self.dataset), self.block))
        order = (starts[:, None] + np.arange(self.block)).ravel()
        order = np.resize(order[order < len(self.dataset)], self.total_size)  # repeats its beginning, to round up
        mine = np.array_split(order, self.world_size)[self.rank]
        for start in range(0, len(mine), self.block * self.window):
            yield from rng.permutation(mine[start : start + self.block * self.window]).tolist()
