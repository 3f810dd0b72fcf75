"""Print the names that configs and commands know."""

from collections.abc import Sequence
from typing import Literal

from looc_mm.configs import ROOT, config_names

from .arguments import Plugins, summary

Row = tuple[str, str, str]


def list_names(
    kind: Literal['methods', 'protocols', 'datasets', 'augmentations', 'configs'], *, plugin: Plugins = ()
) -> Sequence[Row]:
    """Print the methods, protocols, datasets, augmentations or configs that there are, each with a line about it.

    For example::

        looc list augmentations --plugin my_augmentations.py

    The second column is the space of an augmentation, or the name of a protocol for "looc test --protocols".
    Installed plug-ins are included.

    Args:
        kind: what to print
        plugin: import this file, which registers classes: augmentations, models, ...; may be given more than once

    Returns:
        The rows: name, second column, line.

    Raises:
        ValueError: A plug-in registers no augmentation.
        FileNotFoundError: A plug-in does not exist.
    """
    rows = config_rows() if kind == 'configs' else registered_rows(kind, plugin)
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for name, short, line in rows:
        cells = [name.ljust(widths[0]), *([short.ljust(widths[1])] if widths[1] else []), line]
        print('  '.join(cells).rstrip())
    return rows


def registered_rows(kind: str, plugin: Sequence[str]) -> Sequence[Row]:
    """What looc_mm and plug-ins registered; the registries of MMPreTrain are other ones, the parents of these."""
    from mmengine.model import BaseModel

    from looc_mm.plugins import load_files
    from looc_mm.registry import AUGMENTATIONS, DATASETS, MODELS, PROTOCOLS

    load_files(plugin)
    registry, column = {
        'methods': (MODELS, ''),
        'protocols': (PROTOCOLS, 'name'),
        'datasets': (DATASETS, ''),
        'augmentations': (AUGMENTATIONS, 'name'),
    }[kind]
    registry.import_from_location()
    rows = []
    for name, found in sorted(registry.module_dict.items()):
        if kind == 'methods' and not issubclass(found, BaseModel):  # a neck, a head, a layer
            continue
        has_space = getattr(found, 'owns_space', True)
        rows.append((name, getattr(found, column, '') if column and has_space else '', summary(found)))
    return rows


def config_rows() -> Sequence[Row]:
    """The configs of the package, with the comment at the top of each."""
    texts = ((name, (ROOT / 'configs' / f'{name}.py').read_text()) for name in config_names())
    heads = ((name, text.partition('\n')[0]) for name, text in texts)
    return [(name, '', head.removeprefix('# ') if head.startswith('# ') else '') for name, head in heads]
