"""A folder of images, of any depth, with or without classes, or a list of them."""

import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mmengine.logging import print_log

from looc_mm.registry import DATASETS, TRANSFORMS
from looc_mm.stack import CustomDataset

from .broken import ReplaceBroken
from .decoding import EXTENSIONS
from .decoding import extensions as extensions_of
from .label_file import check_label_file
from .list_file import is_list, read_list


@dataclass
class Listing:
    """What is below some folders, without hidden files and folders.

    Attributes:
        pictures: Paths of the pictures, sorted within each folder that was added.
        passed_over: Number of the other files by ending in lower case, '' for a name without one.
        repeated: Links to folders that were listed already, and are not listed again.
        unreadable: What is wrong with folders that cannot be listed, by path.
        outside: Number of pictures that are in no class folder, of a folder with labels.
    """

    pictures: list[str] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    repeated: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    outside: int = 0

    def add(
        self, folder: str, extensions: Sequence[str] = EXTENSIONS, known: Iterable[tuple[int, int]] = ()
    ) -> list[str]:
        """List a folder of any depth. Links are followed, and each real folder is listed once.

        Folders are listed by their own path if it is below ``folder``, before links to them.

        Args:
            folder: The folder.
            extensions: What the name of a picture ends with, in lower case.
            known: Identities (:func:`identity`) of folders not to list when a link leads to them.

        Returns:
            The pictures of the folder, sorted.
        """
        seen, todo, links = {*known} - {identity(folder)}, [folder], deque[str]()
        found: list[str] = []
        while todo or links:
            place = todo.pop() if todo else links.popleft()
            try:
                if (number := identity(place)) in seen:
                    self.repeated.append(place)
                    continue
                seen.add(number)
                with os.scandir(place) as entries:
                    visible = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                self.unreadable[place] = error.strerror or str(error)
                continue
            for entry in visible:
                if entry.name.startswith('.'):
                    continue
                if entry.is_dir():
                    (links if entry.is_symlink() else todo).append(entry.path)
                elif entry.name.lower().endswith(tuple(extensions)):
                    found.append(entry.path)
                else:
                    self.passed_over[os.path.splitext(entry.name)[1].lower()] += 1
        found.sort()
        self.pictures += found
        return found

    def check(self) -> None:
        """Raise PermissionError if a folder could not be listed, with its path."""
        for path, problem in self.unreadable.items():
            raise PermissionError(
                f'The folder {path!r} cannot be listed ({problem}), so that its pictures would be missing. Give this '
                f'user the right to read it, or move it to another place.'
            )

    def notes(self) -> Iterator[str]:
        """What was left out, one line each."""
        if self.passed_over:
            yield f'passed over: {counts(self.passed_over)}'
        if self.outside:
            yield f'left out: {self.outside:,} images that are in no class folder'
        if self.repeated:
            links = f'{len(self.repeated):,} links to folders that are listed already'
            yield f'not followed: {links}, such as {self.repeated[0]}'


def identity(folder: str) -> tuple[int, int]:
    """What distinguishes a folder from others, whatever the path to it."""
    stat = os.stat(folder)
    return stat.st_dev, stat.st_ino


def counts(endings: Mapping[str, int]) -> str:
    """Endings with their numbers, the most frequent first."""
    ordered = sorted(endings.items(), key=lambda item: (-item[1], item[0]))
    return ', '.join(f'{count:,} {ending or "without ending"}' for ending, count in ordered)


@DATASETS.register_module()
class ImageFolder(ReplaceBroken, CustomDataset):
    """All images below a folder, whose direct sub-folders are the classes if there are labels.

    Hidden files and folders (``._x.jpg``, ``.ipynb_checkpoints``) are passed over, links are followed. A warning counts
    the other files that are passed over. With an ``ann_file`` the samples are the ones listed there, as in MMPreTrain's
    ``CustomDataset``.

    Args:
        data_root: The folder; or a list of pictures, see :func:`looc_mm.datasets.list_file.read_list`.
        with_label: Take the sub-folders as classes, numbered in sorted order.
        extensions: What the name of an image ends with, in either case. By default those of the formats that are read,
            with .npy if the pipeline loads pictures that are not 8-bit RGB.
        pipeline: Transforms, or configs of them.
        **kwargs: The other arguments of ``CustomDataset``.

    Raises:
        FileNotFoundError: The folder is not there, or has no images.
        PermissionError: A folder in it cannot be listed.
        ValueError: ``with_label`` without sub-folders, or with another number of them than of ``classes``.
    """

    alias = 'folder'
    published: ClassVar[Any] = 'the pictures are your own'

    def __init__(
        self,
        data_root: str,
        with_label: bool = False,
        extensions: Sequence[str] | None = None,
        pipeline: Sequence[dict | Callable] = (),
        **kwargs: Any,
    ) -> None:
        # built here, as the parent's registry does not look into ours
        steps = [TRANSFORMS.build(step) if isinstance(step, dict) else step for step in pipeline]
        channels = next(filter(None, (getattr(step, 'channels', None) for step in steps)), None)
        super().__init__(
            data_root=os.path.expanduser(data_root),
            with_label=with_label,
            extensions=extensions_of(channels) if extensions is None else extensions,
            pipeline=steps,
            **kwargs,
        )

    def load_data_list(self) -> list[dict]:
        """List ``img_path`` and, with labels, ``gt_label`` of every image, sorted by path."""
        if self.ann_file:
            if self.with_label:
                check_label_file(self.ann_file)
            return super().load_data_list()
        samples: list[dict] = [
            {'img_path': path, **({'gt_label': label} if self.with_label else {})}
            for label, paths in enumerate(self.pictures_by_class().values())
            for path in paths
        ]
        self.check_found(samples)
        return samples

    def check_found(self, pictures: Sequence[Any]) -> None:
        """Raise FileNotFoundError if there are no images."""
        if not pictures:
            raise FileNotFoundError(
                self._message(f'no images in it; their names end with {" ".join(sorted(self.extensions))}')
            )

    def pictures_by_class(self) -> dict[str, list[str]]:
        """Paths of the images of each class, sorted; all of them under '' without labels. Logs what is passed over."""
        listing = Listing()
        found = self.list_classes(listing)
        listing.check()
        empty = [f'no images of class {name!r}' for name, paths in found.items() if name and not paths]
        for note in [*empty, *listing.notes()]:
            print_log(f'{os.path.normpath(self.img_prefix)}: {note}', logger='current', level=logging.WARNING)
        return found

    def list_classes(self, listing: Listing) -> dict[str, list[str]]:
        """List the folder, or the folder of each class; see :meth:`pictures_by_class`.

        Args:
            listing: Gets what is in the folders.
        """
        if is_list(source := self.img_prefix.rstrip(os.sep)):
            if self.with_label:
                raise ValueError(
                    f'{type(self).__name__} got with_label=True and the list {source!r}, which has no labels. '
                    'Give a file with lines such as "a/1.jpg 3" as ann_file, or a folder with sub-folders of classes.'
                )
            listing.pictures += (found := read_list(source))
            return {'': found}
        if not os.path.isdir(self.img_prefix):
            raise FileNotFoundError(self._message('there is no such folder'))
        if not self.with_label:
            return {'': listing.add(self.img_prefix, self.extensions)}
        folders = {name: os.path.join(self.img_prefix, name) for name in self.class_folders()}
        known = {identity(path) for path in (self.img_prefix, *folders.values())}
        with os.scandir(self.img_prefix) as entries:
            listing.outside += sum(self.is_valid_file(entry.name) for entry in entries if entry.is_file())
        return {name: listing.add(folder, self.extensions, known) for name, folder in folders.items()}

    def class_folders(self) -> list[str]:
        """The classes' folders, in the order of their labels."""
        folders = sorted(
            entry.name for entry in os.scandir(self.img_prefix) if entry.is_dir() and not entry.name.startswith('.')
        )
        if not folders:
            raise ValueError(self._message('with_label=True takes sub-folders as classes, and it has none'))
        if self.CLASSES is None:
            self._metainfo['classes'] = tuple(folders)
        elif len(self.CLASSES) != len(folders):
            raise ValueError(self._message(f'{len(folders)} sub-folders, but {len(self.CLASSES)} classes were named'))
        return folders

    def is_valid_file(self, filename: str) -> bool:
        """Whether a file is an image by its name, without its folder."""
        return super().is_valid_file(filename) and not filename.startswith('.')

    def _message(self, problem: str) -> str:
        return (
            f'{type(self).__name__} got {self.img_prefix!r} ({os.path.abspath(self.img_prefix)}): {problem}. '
            'Put or link the images there, or change the folder, in training with '
            '`--cfg-options train_dataloader.dataset.data_root=...`, in evaluation with both '
            '`test_dataloader.dataset.data_root=...` and `test_cfg.train_dataloader.dataset.data_root=...`'
        )
