"""A folder of labelled pictures as a training and a test split.

Shapes: N pictures of a split.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from looc_mm.datasets.channels import Channels
from looc_mm.datasets.classes import Classes, match_classes
from looc_mm.datasets.decoding import extensions
from looc_mm.datasets.folder import ImageFolder
from looc_mm.datasets.transforms import one_thread
from looc_mm.evaluation import FeatureSource
from looc_mm.export.features import Pictures, default_device
from looc_mm.multichannel import channels_of

#: Share of the pictures of a class that is held out.
SHARE = 0.2


@dataclass(frozen=True)
class Split:
    """Pictures of one split, by class and path.

    Attributes:
        paths: N files.
        labels: (N,) int64, the number of the class; or double, a number that is predicted.
        groups: (N,) int64. Pictures of one group are not independent; without a regex each picture is a group.
    """

    paths: list[str]
    labels: Tensor
    groups: Tensor

    def rows(self, rows: Tensor) -> 'Split':
        """Some of the pictures."""
        return Split([self.paths[row] for row in rows.tolist()], self.labels[rows], self.groups[rows])


@dataclass(frozen=True)
class Labelled:
    """A labelled folder.

    Attributes:
        name: Of the folder.
        classes: Names, in the order of the labels.
        train: To fit on.
        test: To score on.
        note: How the pictures were split.
        missing: Classes that a folder lacks.
        given: Whether the folder has the two splits.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    note: str
    missing: tuple[str, ...] = ()
    given: bool = True


class LabelledPictures(Pictures):
    """Pictures with the label ``gt_label``.

    Args:
        split: The pictures.
        size: Side of the view in pixels.
        channels: As of :class:`Pictures`.
    """

    def __init__(self, split: Split, size: int, channels: Channels | None = None) -> None:
        super().__init__(split.paths, size, channels)
        self.labels = split.labels

    def __getitem__(self, index: int) -> dict[str, Any]:
        """The sample of :class:`Pictures`, and ``labels``."""
        return {**super().__getitem__(index), 'labels': {'gt_label': self.labels[index]}}


def labelled_source(
    network: nn.Module,
    splits: Mapping[str, Split],
    size: int,
    name: str,
    batch_size: int = 64,
    workers: int = 0,
    device: str | None = None,
    amp: bool = False,
    states: Mapping[str, str] | None = None,
) -> FeatureSource:
    """The frozen features of labelled pictures.

    Args:
        network: Is moved to the device.
        splits: By name.
        size: Side of the views in pixels.
        name: Of the dataset.
        batch_size: Pictures at a time.
        workers: Processes that decode.
        device: Where the network runs; by default the GPU, if there is one.
        amp: Whether features are extracted under autocast.
        states: How far the training of each space got.
    """
    loaders: dict[str, DataLoader | dict] = {
        split: DataLoader(
            LabelledPictures(each, size, channels_of(network)),
            min(batch_size, len(each.paths)),
            num_workers=workers,
            worker_init_fn=one_thread if workers else None,
        )
        for split, each in splits.items()
    }
    return FeatureSource(network.to(device or default_device()), loaders, name=name, amp=amp, states=states)


def read_labelled(
    folder: str | Path,
    group: str | None = None,
    seed: int = 0,
    allow_missing_classes: bool = False,
    channels: Channels | None = None,
) -> Labelled:
    """Read ``<folder>/{train,val}/<class>/``, or ``<folder>/<class>/`` with a fifth of each class as the test split.

    Args:
        folder: The labelled pictures.
        group: A regex. Its first group, searched in the path below the split's folder, names what a picture shows.
            Pictures of one name stay on one side of the split.
        seed: Of the split.
        allow_missing_classes: Whether a class may have no pictures in val or in both folders.
        channels: Of pictures that are not 8-bit RGB.

    Raises:
        FileNotFoundError: There is no such folder.
        ValueError: There are fewer than two classes, a class has no pictures or is in val only, a path does not
            match the regex, or a group is in both splits or is all of a class.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f'There is no folder {str(folder)!r}; give a folder with a sub-folder for each class.')
    ready = [root / name for name in ('train', 'val')]
    given = all(path.is_dir() and any(each.is_dir() for each in path.iterdir()) for path in ready)
    found = [_pictures(path, channels) for path in (ready if given else [root])]
    named = [_classes(each) for each in found]
    missing: list[str] = []
    for split, each in zip(('train', 'val') if given else ('labelled',), named, strict=True):
        missing += match_classes(named[0], each, split, allow_missing_classes)
    classes = tuple(named[0].present)
    if len(classes) < 2:
        raise ValueError(f'Got the classes {list(classes)} in {str(folder)!r}; give sub-folders of at least 2 classes.')
    numbers: dict[str, int] = {}
    splits = [
        _split(path, {name: each.get(name, []) for name in classes}, group, numbers)
        for path, each in zip(ready if given else [root], found, strict=True)
    ]
    name = root.resolve().name
    if not given:
        rest, held = hold_out(splits[0], classes, seed)
        kept = '' if group is None else f', groups of {group!r} kept together'
        note = f'split here by class, 80 % and 20 %, seed {seed}{kept}'
        return Labelled(name, classes, splits[0].rows(rest), splits[0].rows(held), note, tuple(missing), False)
    train, test = splits
    if group is not None and (both := {*train.groups.tolist()} & {*test.groups.tolist()}):
        names = sorted(key for key, number in numbers.items() if number in both)
        raise ValueError(
            f'{len(both)} groups of {group!r} are in train and in val, such as {names[:3]}: the test pictures show '
            f'what was learnt by heart. Move each group to one side.'
        )
    if group is None:
        test = Split(test.paths, test.labels, test.groups + len(train.paths))
    return Labelled(name, classes, train, test, 'split by the folders train and val', tuple(missing))


def hold_out(split: Split, classes: Sequence[str], seed: int) -> tuple[Tensor, Tensor]:
    """Hold out a fifth of the pictures of each class, whole groups of them.

    Args:
        split: N pictures.
        classes: Names, for messages.
        seed: Of the choice.

    Returns:
        Rows that are kept and rows that are held out, together N, each in order.

    Raises:
        ValueError: A class has one group only, or its groups are held out for other classes.
    """
    draw = torch.Generator().manual_seed(seed)
    side: dict[int, bool] = {}  # group -> whether it is held out
    for label, name in enumerate(classes):
        found, counts = split.groups[split.labels == label].unique(return_counts=True)
        order = torch.randperm(len(found), generator=draw)
        sizes = dict(zip(found[order].tolist(), counts[order].tolist(), strict=True))  # group -> pictures
        free = [group for group in sizes if group not in side]
        held = sum(size for group, size in sizes.items() if side.get(group))
        for group in free:
            side[group] = held + sizes[group] / 2 <= SHARE * sum(sizes.values())
            held += sizes[group] * side[group]
        if free and not held:
            side[min(free, key=sizes.__getitem__)] = True
        if len({side[group] for group in sizes}) < 2:
            raise ValueError(
                f'The class {name!r} ({sum(sizes.values())} pictures, {len(sizes)} groups) cannot be split: it needs '
                f'pictures of at least 2 groups, on both sides. Add pictures, or leave the class out.'
            )
    chosen = torch.tensor([side[group] for group in split.groups.tolist()])
    return (~chosen).nonzero()[:, 0], chosen.nonzero()[:, 0]


def _pictures(folder: Path, channels: Channels | None) -> dict[str, list[str]]:
    """Class to files."""
    dataset = ImageFolder(str(folder), with_label=True, extensions=extensions(channels), lazy_init=True)
    if any(entry.is_dir() and not entry.name.startswith('.') for entry in folder.iterdir()):
        return dataset.pictures_by_class()
    return {}


def _classes(found: Mapping[str, list[str]]) -> Classes:
    return Classes(tuple(found), frozenset(number for number, files in enumerate(found.values()) if files))


def _split(folder: Path, found: Mapping[str, list[str]], group: str | None, numbers: dict[str, int]) -> Split:
    paths = [path for files in found.values() for path in files]
    labels = torch.tensor([label for label, files in enumerate(found.values()) for _ in files])
    below = [Path(path).relative_to(folder).as_posix() for path in paths]
    return Split(paths, labels, group_numbers(below, group, numbers))


def group_numbers(paths: Sequence[str], group: str | None, numbers: dict[str, int]) -> Tensor:
    """The number of the group of each path.

    Args:
        paths: N of them.
        group: A regex whose first group names what a picture shows; None: each picture is a group.
        numbers: Name to number; new names are added.

    Returns:
        (N,) int64.

    Raises:
        ValueError: The regex is wrong, or does not match a path.
    """
    if group is None:
        return torch.arange(len(paths))
    try:
        pattern = re.compile(group)
    except re.error as error:
        raise ValueError(f'Got the regex {group!r}: {error}.') from error
    if not pattern.groups:
        raise ValueError(f'Got the regex {group!r}; put what names the object in parentheses, such as "(.*)_[0-9]+".')
    names = []
    for path in paths:
        if (match := pattern.search(path)) is None or match[1] is None:
            raise ValueError(f'The regex {group!r} does not match the path {path!r}.')
        names.append(match[1])
    return torch.tensor([numbers.setdefault(name, len(numbers)) for name in names])
