"""Which parts a dataset on the disk should have: its class knows, or for one's own pictures the folder shows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from looc_mm.registry import DATASETS

from .checks import Part
from .classes import classes_of, match_classes
from .folder import ImageFolder

LABELLED = ('train', 'val')  # folders of labelled pictures of one's own


def known_datasets() -> dict[str, Any]:
    """The datasets that can be checked, by the name for it: the class's ``alias``, or its name in lower case."""
    DATASETS.import_from_location()
    kinds = {vars(kind).get('alias', kind.__name__.lower()): kind for kind in DATASETS.module_dict.values()}
    return {
        name: kind
        for name, kind in sorted(kinds.items())
        if kind is ImageFolder or isinstance(getattr(kind, 'published', None), dict)
    }


def parts_of(name: str, root: Path) -> dict[str, tuple[dict[str, Any], Part]]:
    """The parts of a dataset.

    Args:
        name: Of the dataset, as in :func:`known_datasets`, or of its class.
        root: Its folder.

    Returns:
        For each part the config of its dataset, and what was published of it.

    Raises:
        ValueError: There is no such dataset, or its class has no published numbers.
    """
    known = known_datasets()
    kind = known.get(name) or DATASETS.module_dict.get(name)
    if kind not in known.values():
        reason = f': {kind.published}' if isinstance(getattr(kind, 'published', None), str) else ''
        problem = f'The class {name} has no published numbers{reason}' if kind else f'There is no dataset {name!r}'
        raise ValueError(
            f'{problem}. Known are {", ".join(known)}. A class of your own is known if it is registered in DATASETS, '
            f'has published = {{part: Part(images, classes)}}, and its file is given by --plugin FILE.py.'
        )
    if kind is ImageFolder:
        return _own_pictures(root)
    return {
        name: (
            dict(type=kind, data_root=str(root), **({'split': name} if part.arguments is None else part.arguments)),
            part,
        )
        for name, part in kind.published.items()
    }


def differences(name: str, root: Path) -> Iterator[str]:
    """What is wrong between folders of one's own pictures, whose classes are compared by name."""
    if known_datasets().get(name) is not ImageFolder or not _is_labelled(root):
        return
    try:
        train, val = (classes_of(DATASETS.build(config)) for config, _ in _own_pictures(root).values())
    except (OSError, ValueError):  # a part that cannot be read has its own message
        return
    for split, classes in (('train', train), ('val', val)):
        try:
            match_classes(train, classes, split)
        except ValueError as error:
            yield str(error)


def _own_pictures(root: Path) -> dict[str, tuple[dict[str, Any], Part]]:
    config, unknown = dict(type=ImageFolder, data_root=str(root)), Part(None, None)
    if not _is_labelled(root):
        return {'all': (config, unknown)}
    return {each: (dict(config, data_prefix=each, with_label=True), unknown) for each in LABELLED}


def _is_labelled(root: Path) -> bool:
    return all((root / part).is_dir() for part in LABELLED)
