"""Move a share of the training images to validation: chosen by a seed, the same for every class, and written down."""

import hashlib
import json
import os
from collections import defaultdict
from typing import Any

from looc_mm.files import atomic_write


def reallocated(labels: dict[str, int], share: float, seed: int, path: str) -> list[str]:
    """The images to move: read from a split file, or chosen and written to it.

    Args:
        labels: Label by file name, of the training images.
        share: To move.
        seed: Of the choice.
        path: The split file. One that is there is obeyed, so that a split can be handed on.

    Returns:
        File names, in the split file's order.

    Raises:
        ValueError: The file is of another share, seed or training set, or no split file.
        OSError: It cannot be written.
    """
    wanted = {'reallocate': share, 'seed': seed, 'train': len(labels)}
    if not os.path.exists(path):
        moved = choose(labels, share, seed)
        _write(path, {**wanted, 'moved': moved})
        return moved
    with open(path, encoding='utf-8') as stream:
        try:
            saved = json.load(stream)
            found = {key: saved[key] for key in wanted}
            moved = list(saved['moved'])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f'{path!r} is no split file ({error!r}); give another split_file') from error
    unknown = [name for name in moved if name not in labels]
    if found != wanted or unknown:
        raise ValueError(
            f'The split file {path!r} is of {found}, but {wanted} is asked for, and {len(unknown)} of its images are '
            'no training images. Give its values, or give another split_file'
        )
    return moved


def choose(labels: dict[str, int], share: float, seed: int) -> list[str]:
    """Choose the same share of every class.

    A hash of seed and name ranks a class's images, so that neither their order nor the version of a random number
    generator matters. What is lost by rounding down goes, one image each, to the classes that lost most.

    Args:
        labels: Label by file name.
        share: To choose, of each class and, rounded, of all.
        seed: Of the choice.

    Returns:
        The chosen names, sorted.
    """
    classes: dict[int, list[str]] = defaultdict(list)
    for name, label in labels.items():
        classes[label].append(name)
    exact = {label: share * len(names) for label, names in classes.items()}
    take = {label: int(number) for label, number in exact.items()}
    left = round(share * len(labels)) - sum(take.values())
    for label in sorted(exact, key=lambda label: (take[label] - exact[label], label))[:left]:
        take[label] += 1

    def rank(name: str) -> bytes:
        return hashlib.sha256(f'{seed} {name}'.encode()).digest()

    return sorted(name for label, names in classes.items() for name in sorted(names, key=rank)[: take[label]])


def _write(path: str, content: dict[str, Any]) -> None:
    """Write a file as a whole: several processes may do so at once, each with the same content."""
    try:
        with atomic_write(path) as part:
            part.write_text(json.dumps(content, indent=0), encoding='utf-8')
    except OSError as error:
        raise OSError(
            f'The split cannot be written down in {path!r} ({error}); set split_file to a path that can be written, '
            'or reallocate=0 for the official split'
        ) from error
