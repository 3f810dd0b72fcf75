"""Tars of pictures in WebDataset's layout, read as a dataset with a length and random access.

Members that follow each other and have one name up to the first dot, ``000123.jpg`` and ``000123.cls``, are a sample.
Shards that looc_mm writes itself are :class:`looc_mm.datasets.CanvasShards`; ``shards.py`` says why no loader of whole
shards is used.
"""

import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from glob import escape, glob
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

from looc_mm.registry import DATASETS

from .checks import build_pipeline
from .contained import ContainedPictures
from .decoding import extensions
from .shards import open_file, read_at


@DATASETS.register_module()
class WebDatasetTars(ContainedPictures):
    """The pictures of a folder of ``.tar`` files, sorted by the tar's name, in the order of the tar.

    The headers of all members are read once, when the dataset is built; pictures are read when they are asked for.

    Args:
        data_root: The folder, or a pattern of paths such as ``data/train-*.tar``.
        image: What the members with pictures end with, without the first dot, such as 'jpg'; None for any picture.
        label: What the members with the number of the class end with, such as 'cls'; None for no labels.
        read_ahead: As of :class:`looc_mm.datasets.CanvasShards`, for ``ShardSampler``.
        pipeline: Transforms, or configs of them.
        **kwargs: The other arguments of MMPreTrain's ``BaseDataset``, such as ``classes``, their names.

    Raises:
        FileNotFoundError: There is no tar, or no picture in the tars.
        ValueError: A tar is compressed, damaged or cut short; a sample has two pictures, or no label.
    """

    published: ClassVar[Any] = 'the pictures are your own'

    def __init__(
        self,
        data_root: str,
        image: str | None = None,
        label: str | None = None,
        read_ahead: bool = False,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs: Any,
    ) -> None:
        self.image, self.label, self.read_ahead = image, label, read_ahead
        steps = build_pipeline(pipeline)
        channels = next(filter(None, (getattr(step, 'channels', None) for step in steps)), None)
        self.endings = tuple(each[1:] for each in extensions(channels)) if image is None else (image.lower(),)
        self.tars: list[str] = []
        self.stamps: tuple[int, ...] = ()  # by which cached features know what they are of
        super().__init__(ann_file='', data_root=os.path.expanduser(data_root), pipeline=steps, **kwargs)

    def load_data_list(self) -> list[dict]:
        """List ``tar``, ``offset``, ``length``, ``key`` and, with labels, ``gt_label``."""
        root = self.data_root
        self.tars = sorted(glob(os.path.join(escape(root), '*.tar') if os.path.isdir(root) else root))
        if not self.tars:
            raise FileNotFoundError(
                f'WebDatasetTars got {root!r} ({os.path.abspath(root)}); no .tar is there. Give a folder with tars, or '
                f'a pattern such as data/train-*.tar.'
            )
        self.stamps = tuple(os.stat(tar).st_mtime_ns for tar in self.tars)
        found = [sample for number in range(len(self.tars)) for sample in self._samples(number)]
        listed = [(os.path.basename(self.tars[each['tar']]), sorted(each.items())) for each in found]
        self.fingerprint = sha256(repr(listed).encode()).hexdigest()
        if not found:
            raise FileNotFoundError(
                f'{len(self.tars)} tars of {root!r} hold no picture; names of pictures end with '
                f'{" ".join(self.endings)}. Give another ending by image=...'
            )
        return found

    def place(self, info: dict[str, Any]) -> str:
        """The tar and the member."""
        return f'{self.tars[info["tar"]]}, {info["key"]}'

    def content(self, info: dict[str, Any]) -> bytes:
        """The bytes of a member."""
        return read_at(open_file(Path(self.tars[info['tar']]), self.read_ahead), info['length'], info['offset'])

    def _samples(self, number: int) -> Iterator[dict]:
        """The samples of a tar that have a picture."""
        sample: dict[str, Any] = {}
        before = None
        for member in self._members(number):
            folder, _, name = member.name.rpartition('/')
            key, _, ending = name.partition('.')
            if (folder, key) != before:
                yield from self._whole(sample, number)
                before, sample = (folder, key), {}
            if ending.lower() in self.endings:
                if sample.get('key'):
                    other = sample['key'].rpartition('/')[2].partition('.')[2]
                    raise ValueError(
                        f'{self.tars[number]} has two pictures of one sample, {sample["key"]} and {member.name}. '
                        f'Choose by image={ending!r} or image={other!r}.'
                    )
                sample |= dict(tar=number, offset=member.offset_data, length=member.size, key=member.name)
            elif self.label is not None and ending == self.label:
                text = read_at(open_file(Path(self.tars[number]), False), member.size, member.offset_data)
                sample['gt_label'] = self._number(text, f'{self.tars[number]}, {member.name}')
        yield from self._whole(sample, number)

    def _members(self, number: int) -> Iterator[tarfile.TarInfo]:
        """The files of a tar."""
        path = self.tars[number]
        size = os.path.getsize(path)
        try:
            with tarfile.open(path, 'r:') as tar:
                for member in tar:
                    if member.isreg() and member.offset_data + member.size > size:
                        raise tarfile.ReadError(f'{member.name} ends behind the end of the file')
                    if member.isreg() and not os.path.basename(member.name).startswith('.'):
                        yield member
        except tarfile.TarError as error:
            raise ValueError(
                f'{path!r} ({size:,} bytes) cannot be read as a plain tar: {error}. Copy it again from its source; '
                f'unpack a compressed tar (gunzip), because pictures are read at any place.'
            ) from error

    def _whole(self, sample: dict[str, Any], number: int) -> Iterator[dict]:
        """The sample, if it has a picture."""
        if 'key' not in sample:
            return
        if self.label is not None and 'gt_label' not in sample:
            raise ValueError(
                f'{self.tars[number]}, {sample["key"]} has no label: no member of this sample ends with .{self.label}. '
                f'Give another ending, or label=None.'
            )
        yield sample

    def _number(self, text: bytes, place: str) -> int:
        found = text.strip()
        if not found.isdigit():
            raise ValueError(f'{place} holds {found[:40]!r}; allowed is the number of a class, 0 or more.')
        return int(found)
