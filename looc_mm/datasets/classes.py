"""Classes are found by their names: each split numbers its own sorted folders, so a number alone means nothing.

Shapes: N samples, K classes of a split.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .listing import listed_samples

CLASS = 'gt_label'  # the label whose names are ``metainfo['classes']``


@dataclass(frozen=True)
class Classes:
    """The classes of a split.

    Attributes:
        names: In the order of their numbers.
        filled: Numbers of the classes that have pictures; None if that is not known without loading the pictures.
    """

    names: tuple[str, ...]
    filled: frozenset[int] | None = None

    @property
    def present(self) -> list[str]:
        """The names of the classes that have pictures; all names if that is not known."""
        return [name for number, name in enumerate(self.names) if self.filled is None or number in self.filled]


def class_names(dataset: Any, label: str = CLASS) -> tuple[str, ...] | None:
    """The names of the values of a label, in the order of their numbers; None if the dataset does not name them."""
    metainfo = getattr(dataset, 'metainfo', None) or {}
    names = metainfo.get((getattr(dataset, 'target', None) or 'classes') if label == CLASS else label)
    return None if names is None else tuple(map(str, names))


def classes_of(dataset: Any) -> Classes | None:
    """The classes of a dataset; None if it does not name them."""
    names = class_names(dataset)
    if names is None:
        return None
    samples = listed_samples(dataset)
    known = samples is not None and all(CLASS in sample for sample in samples)
    return Classes(names, frozenset(int(sample[CLASS]) for sample in samples or ()) if known else None)


def match_classes(
    train: Classes | None, other: Classes | None, split: str = 'test', allow_missing: bool = False
) -> list[str]:
    """Make sure that a classifier of the training pictures can be scored on another split.

    Args:
        train: The classes of the training pictures; None if they have no names.
        other: Those of the split, which may be the training pictures too.
        split: Name of the split, for messages.
        allow_missing: Whether the split may lack pictures of classes.

    Returns:
        The names of the classes that have training pictures and no pictures in the split. For the training pictures
        themselves: the classes without pictures.

    Raises:
        ValueError: The split has classes without training pictures, lacks classes that it may not lack, or one of the
            two has names and the other has none.
    """
    if train is None or other is None:
        if train is not other:
            named, bare = ('train', split) if other is None else (split, 'train')
            raise ValueError(
                f'The {named} pictures have names of their classes and the {bare} pictures have none, so their labels '
                f'cannot be compared. Give both datasets the argument classes=[...], or neither.'
            )
        return []
    wanted = train.names if other is train else train.present
    unknown = [name for name in other.names if name not in train.names]
    unknown += [name for name in other.present if name in train.names and name not in train.present]
    missing = [name for name in wanted if name not in other.present]
    if unknown:
        also = f' The {split} pictures have none of {_shortened(missing)}: was a folder renamed?' if missing else ''
        raise ValueError(
            f'The {split} pictures have classes without training pictures, which no classifier can know: '
            f'{_shortened(unknown)}.{also} Rename the folders, or leave these classes out.'
        )
    if missing and not (allow_missing and other.present):
        raise ValueError(
            f'The {split} pictures lack {len(missing)} of {len(wanted)} classes: {_shortened(missing)}. Add pictures, '
            f'or pass --allow-missing-classes (in a config: test_cfg.allow_missing_classes=True) to use the others.'
        )
    return missing


def describe_missing(split: str, missing: Sequence[str], classes: int) -> str:
    """A line that counts and names the classes that a split lacks."""
    return (
        f'The {split} pictures lack {len(missing)} of {classes} classes, which no score covers: {_shortened(missing)}.'
    )


def renumber(values: Tensor, names: Sequence[str] | None, train: Sequence[str] | None) -> Tensor:
    """Labels of a split under the numbers of the training classes of the same names.

    Args:
        values: (N,) int64 in [0, K).
        names: K names of the split's classes, in the order of their numbers.
        train: Names of the training classes, in the order of their numbers. The numbers stay if a split has no names.

    Returns:
        (N,) int64.

    Raises:
        ValueError: A label is not in [0, K), or its class has no training number.
    """
    if names is None or train is None or len(values) == 0:
        return values
    if values.min() < 0 or values.max() >= len(names):
        raise ValueError(
            f'Got the labels {int(values.min())} to {int(values.max())} for {len(names)} class names; allowed are 0 to '
            f'{len(names) - 1}. Leave pictures without a class out.'
        )
    if tuple(names) == tuple(train):
        return values
    numbers = {name: number for number, name in enumerate(train)}
    if unknown := [names[value] for value in values.unique().tolist() if names[value] not in numbers]:
        raise ValueError(f'Got pictures of classes that the training pictures do not have: {_shortened(unknown)}.')
    return torch.tensor([numbers.get(name, -1) for name in names], device=values.device)[values]


def _shortened(names: Collection[str]) -> str:
    listed = [*map(repr, names)]
    return ', '.join(listed[:10]) + (f' and {len(listed) - 10} more' if len(listed) > 10 else '')
