"""Augmentations that other people wrote: installed ones are found by themselves, single files by their path.

The registry imports this module before it looks a name up. A package is found if its metadata says, in
``pyproject.toml``::

    [project.entry-points."looc_mm.augmentations"]
    stain = "looc_mm_stain"    # the module that registers its classes in AUGMENTATIONS
"""

import importlib.util
import sys
import warnings
from collections.abc import Iterable
from importlib.machinery import SourceFileLoader
from importlib.metadata import entry_points
from pathlib import Path

from looc_mm.registry import AUGMENTATIONS

GROUP = 'looc_mm.augmentations'
PLUGIN_HELP = 'import this file, which registers augmentations; may be given more than once'


def load_entry_points() -> None:
    """Import every installed plug-in. A broken one is named in a warning, for most runs do not need it."""
    for entry in entry_points(group=GROUP):
        try:
            entry.load()
        except Exception as error:  # whatever somebody else's module raises
            package = entry.dist.name if entry.dist else entry.name
            warnings.warn(
                f'The plug-in {package} is left out, its augmentations are not registered: importing {entry.value} '
                f'gave {type(error).__name__}: {error}. Repair it or uninstall {package}.',
                stacklevel=2,
            )


def load_files(paths: Iterable[str | Path]) -> None:
    """Import Python files that register augmentations, each as a module of the file's name.

    Args:
        paths: The files.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A module of that name is imported already, or the file registers no augmentation.
    """
    AUGMENTATIONS.import_from_location()  # else our own would count as the file's
    for path in paths:
        name, known = Path(path).stem, set(AUGMENTATIONS.module_dict)
        if not Path(path).is_file():
            raise FileNotFoundError(
                f'No plug-in at {path}; give the path of a Python file that registers augmentations.'
            )
        if name in sys.modules:
            raise ValueError(f'The plug-in {path} would be the module {name!r}, which is imported already: rename it.')
        spec = importlib.util.spec_from_loader(name, SourceFileLoader(name, str(Path(path).resolve())))
        assert spec is not None and spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if set(AUGMENTATIONS.module_dict) == known:
            raise ValueError(
                f'The plug-in {path} registers no augmentation: write @AUGMENTATIONS.register_module() above its '
                f'class, with AUGMENTATIONS from looc_mm.registry.'
            )


load_entry_points()
