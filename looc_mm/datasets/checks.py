"""Published numbers, and errors that say what of an unpacked archive is missing, what was expected and what to do."""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.logging import print_log

from looc_mm.registry import TRANSFORMS


@dataclass(frozen=True)
class Part:
    """What was published of a part of a dataset: an entry of its class's ``published``.

    Attributes:
        images: Their number; None if it was not published.
        classes: Their number; None if it was not published.
        arguments: Arguments of the class that choose the part; None for ``split``, the part's name.
    """

    images: int | None
    classes: int | None
    arguments: dict[str, Any] | None = None


def check_split(dataset: str, split: str, splits: Iterable[str]) -> None:
    """Raise ValueError unless a dataset has the split."""
    if split not in splits:
        raise ValueError(f'{dataset} got split={split!r}; its splits are {list(splits)}')


def build_pipeline(pipeline: Sequence[dict | Callable]) -> list[Any]:
    """Build transforms from our registry, which MMPreTrain's datasets do not look into."""
    return [TRANSFORMS.build(step) if isinstance(step, dict) else step for step in pipeline]


def require_files(dataset: str, root: str, names: Sequence[str], layout: str) -> None:
    """Check that files or folders are in a dataset's folder.

    Args:
        dataset: Name for the message.
        root: The dataset's folder.
        names: What has to be in it; a name that ends with a slash is a folder.
        layout: The remedy: where they come from.

    Raises:
        FileNotFoundError: Some are not there; it lists what the folder has in their place.
    """
    wanted = {name: os.path.isdir if name.endswith('/') else os.path.isfile for name in names}
    missing = [name for name, is_there in wanted.items() if not is_there(os.path.join(root, name))]
    if not missing:
        return
    found = f'has {sorted(os.listdir(root))[:10]}' if os.path.isdir(root) else 'is no folder'
    raise FileNotFoundError(
        f'{dataset} got {root!r} ({os.path.abspath(root)}), which lacks {" ".join(missing)} and {found}. '
        f'{layout}, or set data_root to the folder that they are in; docs/datasets.md has the layout'
    )


def require_folders(parent: str, names: Sequence[str], message: Callable[[str], str]) -> None:
    """Check that all class folders are there.

    Args:
        parent: The folder that they are in.
        names: Their names.
        message: Makes the whole message of what is wrong.

    Raises:
        FileNotFoundError: Some are not there; they are counted and the first ones named.
    """
    missing = [name for name in names if not os.path.isdir(os.path.join(parent, name))]
    if missing:
        raise FileNotFoundError(
            message(f'{len(missing)} of the {len(names)} class folders are missing, first {" ".join(missing[:3])}')
        )


def require_images(dataset: str, paths: Sequence[str], archive: str) -> None:
    """Check that the images which annotation files list were unpacked; lists each folder once.

    Args:
        dataset: Name for the message.
        paths: Of the images.
        archive: That they come from.

    Raises:
        FileNotFoundError: Some are not there; they are counted and the first one named.
    """
    there: dict[str, set[str]] = {}
    missing = []
    for path in paths:
        folder, name = os.path.split(path)
        if folder not in there:
            there[folder] = set(os.listdir(folder)) if os.path.isdir(folder) else set()
        if name not in there[folder]:
            missing.append(path)
    if missing:
        raise FileNotFoundError(
            f'{dataset}: {len(missing)} of {len(paths)} listed images are missing, first {missing[0]!r}. '
            f'Unpack {archive} again, to its end'
        )


def warn_of_count(dataset: str, found: int, published: int | None, root: str, what: str = 'images') -> None:
    """Warn where there are not as many images, or classes, as published."""
    if published is not None and found != published:
        print_log(
            f'{dataset} has {published} {what}, but {found} were found in {root!r}: figures will not compare with '
            'published ones',
            logger='current',
            level=logging.WARNING,
        )
