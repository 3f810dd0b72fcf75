"""Write a dataset once as canvases in shards, which ``CanvasShards`` reads."""

import io
import json
import os
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Any

import cv2
from tqdm import tqdm

from looc_mm.files import atomic_write, with_checksum
from looc_mm.registry import DATASETS, TRANSFORMS

from .decoding import PictureError, look_at
from .folder_job import FolderJob, Report
from .shards import SETTINGS, index_of, read_index, read_settings, shard_path, split_pipeline
from .transforms import plain_label


def pack_canvases(
    dataset: Mapping[str, Any],
    out: Path,
    size: int | None = None,
    quality: int = 90,
    per_shard: int = 1000,
    workers: int = 0,
) -> Report:
    """Write the canvases of a dataset, in random order; go on where an interrupted run stopped.

    The files depend on the dataset and the settings, not on the workers nor on interruptions. The order is that of the
    digests of the pictures' paths. The JPEGs are without chroma subsampling: at quality 90 that is 0.3 to 0.6 dB nearer
    to the canvas than with it, in as many bytes.

    Args:
        dataset: Config of a dataset whose pipeline has ``LoadCanvas``; the steps before it are obeyed too, and the
            labels that its ``PackCanvas`` passes on are kept.
        out: The folder of the shards.
        size: Side of the canvases, in pixels; by default ``LoadCanvas`` decides.
        quality: Of the JPEGs, 1 to 100.
        per_shard: Pictures to a shard.
        workers: Processes, each of which writes whole shards; 0 works in this one.

    Returns:
        The report: shards are counted, and ``steps`` are the pictures, the broken ones among them.

    Raises:
        FileNotFoundError: The dataset is not there.
        ValueError: A setting is out of range, canvases cannot replace the dataset
            (``split_pipeline``), or ``out`` was written with other settings or from another dataset.
    """
    if not 1 <= quality <= 100 or per_shard < 1:
        raise ValueError(f'Got quality={quality} and per_shard={per_shard}; 1 to 100 and at least 1 are allowed')
    making, following = split_pipeline(dataset)
    canvas = {**making[-1], **({} if size is None else {'size': size}), 'ignore_broken': False}
    source = DATASETS.build({**dataset, 'pipeline': [*making[:-1], canvas]})
    keys = [key for step in following for key in getattr(TRANSFORMS.build(step), 'label_keys', ())]
    work = _Work(source, keys, out, per_shard, quality)
    shards = range(-(-len(source) // per_shard))
    settings = {
        'size': TRANSFORMS.build(canvas).size,
        'quality': quality,
        'per_shard': per_shard,
        'shards': len(shards),
        'images': len(source),
        'list': work.digest,
        'labels': work.keys,
        'metainfo': source.metainfo,
    }
    return FolderJob(out, SETTINGS, settings, 'Packed').run(work.make, shards, workers, len(source))


class _Work:
    """What all shards have in common: the pictures in their order, and how they are written."""

    def __init__(self, source: Any, keys: Sequence[str], out: Path, per_shard: int, quality: int) -> None:
        self.source, self.out, self.per_shard = source, out, per_shard
        self.flags = [cv2.IMWRITE_JPEG_QUALITY, quality]
        self.flags += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
        root = os.path.join(source.data_root, '')
        self.keys: list[str] = []
        names = []
        listed = []
        for row in range(len(source)):
            info = source.get_data_info(row)
            self.keys = self.keys or [key for key in keys if key in info]
            names.append(info.get('img_path', str(row)).removeprefix(root))
            listed.append([names[-1], *(int(info[key]) for key in self.keys)])
        self.names = names
        self.order = sorted(range(len(names)), key=lambda row: sha256(names[row].encode()).digest())
        self.digest = sha256(json.dumps(listed).encode()).hexdigest()

    def make(self, shard: int) -> Report:
        """Write a shard unless it is finished; again if a picture that it left out can be read now."""
        path = shard_path(self.out, shard)
        index = read_index(path)
        if not isinstance(index, str) and not all(look_at(name)[0] for name in self._paths(index['broken'])):
            index = 'pictures that were broken can be read now'
        missing = isinstance(index, str)
        if isinstance(index, str):
            tar, broken = self._tar(range(len(self.order))[shard * self.per_shard : (shard + 1) * self.per_shard])
            index = {**index_of(tar), 'broken': broken}
            note = json.dumps(with_checksum(index)).encode()
            # The index is last: where it is, the tar is whole.
            for file, content in ((path, tar), (path.with_suffix('.json'), note)):
                with atomic_write(file, single_writer=True) as part:
                    part.write_bytes(content)
        pictures = len(index['columns'].get('offset', ())) + len(index['broken'])
        broken = dict(zip(self._paths(index['broken']), index['broken'].values(), strict=True))
        return Report(made=missing, finished=not missing, steps=pictures, broken=broken)

    def _paths(self, names: Iterable[str]) -> list[str]:
        return [os.path.join(self.source.data_root, name) for name in names]

    def _tar(self, places: range) -> tuple[bytes, dict[str, str]]:
        """The shard of these places in the order, and what is wrong with the pictures that are left out."""
        buffer, broken = io.BytesIO(), dict[str, str]()
        with tarfile.open(fileobj=buffer, mode='w', format=tarfile.USTAR_FORMAT) as tar:
            for place in places:
                row = self.order[place]
                try:
                    sample = self.source.prepare_data(row)
                except (PictureError, OSError) as error:
                    broken[self.names[row]] = getattr(error, 'reason', str(error))
                    continue
                height, width = map(int, sample['ori_shape'])
                labels = {key: plain_label(sample[key]) for key in self.keys}
                note = {'path': self.names[row], 'height': height, 'width': width, **labels}
                jpeg = cv2.imencode('.jpg', sample['img'], self.flags)[1].tobytes()
                for ending, content in (('jpg', jpeg), ('json', json.dumps(note).encode())):
                    member = tarfile.TarInfo(f'{place:09d}.{ending}')
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
        return buffer.getvalue(), broken


def verify_canvases(out: Path, workers: int = 1) -> dict[str, str]:
    """Read all shards of a folder and compare them with their checksums.

    Args:
        out: The folder.
        workers: Threads.

    Returns:
        What is wrong, by the path of the shard's tar.

    Raises:
        FileNotFoundError: There are no canvases in the folder.
        ValueError: The file of settings is damaged.
    """
    paths = [shard_path(out, shard) for shard in range(read_settings(out)['shards'])]
    with ThreadPool(max(workers, 1)) as pool:
        problems = list(tqdm(pool.imap(_problem, paths), 'Verified', len(paths), unit='shard'))
    return {str(path): problem for path, problem in zip(paths, problems, strict=True) if problem}


def _problem(path: Path) -> str:
    """What is wrong with a shard, or ''."""
    index = read_index(path)
    if isinstance(index, str):
        return index
    if sha256(path.read_bytes()).hexdigest() != index['sha256']:
        return f'{path.name} does not have the checksum that it was written with'
    return ''
