"""What other people register: installed packages are found by their entry points, single files by their path.

The registries import this module before they look a name up. A package is found if its metadata says, in
``pyproject.toml``::

    [project.entry-points."looc_mm.plugins"]
    stain = "looc_mm_stain"    # the module that registers its classes

The group ``looc_mm.augmentations`` is read too, for packages that were written before the general group.
"""

import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from importlib.machinery import SourceFileLoader
from importlib.metadata import entry_points
from pathlib import Path

from looc_mm.registry import REGISTRIES, ancestors

GROUPS = ('looc_mm.plugins', 'looc_mm.augmentations')


def load_entry_points() -> None:
    """Import every installed plug-in. A broken one is named in a warning, for most runs do not need it."""
    for entry in (entry for group in GROUPS for entry in entry_points(group=group)):
        try:
            _registered_by(entry.module.split('.')[0], entry.load)
        except (Exception, SystemExit) as error:  # whatever somebody else's module raises
            package = entry.dist.name if entry.dist else entry.name
            warnings.warn(
                f'The plug-in {package} is left out, nothing of it is registered: importing {entry.value} '
                f'gave {type(error).__name__}: {error}. Repair it or uninstall {package}.',
                stacklevel=2,
            )


def load_files(paths: Iterable[str | Path]) -> None:
    """Import Python files that register classes, each as a module of the file's name.

    Args:
        paths: The files.

    Raises:
        FileNotFoundError: No such file.
        ValueError: A module of that name is imported already, the file registers nothing or calls sys.exit, or a name
            that it registers belongs to another class.
    """
    for path in paths:
        name = Path(path).stem
        if not Path(path).is_file():
            raise FileNotFoundError(f'No plug-in at {path}; give the path of a Python file that registers classes.')
        if name in sys.modules:
            raise ValueError(f'The plug-in {path} would be the module {name!r}, which is imported already: rename it.')
        spec = importlib.util.spec_from_loader(name, SourceFileLoader(name, str(Path(path).resolve())))
        assert spec is not None and spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        try:
            found = _registered_by(name, partial(spec.loader.exec_module, module))
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            if isinstance(error, SystemExit):
                raise ValueError(f'The plug-in {path} calls sys.exit({error.code!r}) when it is imported.') from error
            if isinstance(error, NameTakenError):
                raise ValueError(f'The plug-in {path} cannot be used: {error}') from error
            raise
        if not found:
            raise ValueError(
                f'The plug-in {path} registers nothing: write @REGISTRY.register_module() above its class, with '
                f'REGISTRY imported from looc_mm.registry, one of {", ".join(REGISTRIES)}.'
            )


class NameTakenError(ValueError):
    """A plug-in registers a name that belongs to another class: a config with this name would be ambiguous."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem}. Rename the class, or give it another name: register_module(name='...').")


def _registered_by(package: str, load: Callable[[], object]) -> list[str]:
    """Load a plug-in. If that fails, none of its classes stays registered.

    Args:
        package: The module or package of its classes.
        load: Imports it.

    Returns:
        The names that were registered.

    Raises:
        NameTakenError: One of the names belongs to another class.
    """
    for registry in REGISTRIES.values():
        registry.import_from_location()  # else our own would count as the plug-in's
    before = {key: dict(registry.module_dict) for key, registry in REGISTRIES.items()}
    try:
        try:
            load()
        except KeyError as error:
            if 'is already registered in' in str(error):  # MMEngine's
                raise NameTakenError(error.args[0]) from error
            raise
        return [name for key, known in before.items() for name in _new_names(key, known)]
    except (Exception, SystemExit):
        for key, registry in REGISTRIES.items():
            for name, kind in list(registry.module_dict.items()):
                if kind.__module__.split('.')[0] == package:
                    del registry.module_dict[name]
            registry.module_dict.update(before[key])
        raise


def _new_names(key: str, before: dict[str, type]) -> list[str]:
    registry = REGISTRIES[key]
    new = [name for name, kind in registry.module_dict.items() if before.get(name) is not kind]
    for parent in ancestors(registry) if new else ():
        parent.import_from_location()
    for known in (before, *(parent.module_dict for parent in ancestors(registry))):
        if taken := [name for name in new if name in known]:
            raise NameTakenError(f'{taken[0]} is already registered in {key} at {known[taken[0]].__module__}')
    return new


load_entry_points()
