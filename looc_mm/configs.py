"""Configs by name: in an installed package they are in ``looc_mm/.mim/configs``, in a checkout in ``configs``.

Nothing here needs PyTorch or MMEngine.
"""

import difflib
import os
from pathlib import Path, PurePosixPath

_PACKAGE = Path(__file__).parent
#: The folder that has ``configs`` and ``tools``.
ROOT = _PACKAGE / '.mim' if (_PACKAGE / '.mim').is_dir() else _PACKAGE.parent
_FOLDER = 'configs'


def config_names() -> list[str]:
    """The names of all configs of the package, such as 'looc/looc_r18_imagenette'; no parts that others inherit."""
    found = (path.relative_to(ROOT / _FOLDER).with_suffix('') for path in (ROOT / _FOLDER).rglob('*.py'))
    return sorted(path.as_posix() for path in found if path.parts[0] != '_base_')


def find_config(name: str | os.PathLike[str]) -> Path:
    """The file of a config.

    Args:
        name: Path of a config file, which comes first, or the name of a config of the package: 'looc_factors',
            'looc/looc_factors' and 'configs/looc/looc_factors.py' are the same one.

    Returns:
        The path as it was given, or the path of the package's file.

    Raises:
        ValueError: There is no such config, or more than one has the name.
    """
    if Path(name).is_file():
        return Path(name)
    found = _matches(name)
    if len(found) == 1:
        return ROOT / _FOLDER / f'{found[0]}.py'
    if found:
        raise ValueError(f'{len(found)} configs are named {name}: {", ".join(found)}. Give folder and name.')
    raise ValueError(
        f'There is no config {name}: it is no file, and no config of looc_mm has the name. {_suggestion(name)}'
    )


def is_config(name: str | os.PathLike[str]) -> bool:
    """Whether :func:`find_config` is the function for it: a path that ends with ``.py``, or the name of a config."""
    return Path(name).suffix == '.py' or (not Path(name).exists() and bool(_matches(name)))


def _matches(name: str | os.PathLike[str]) -> list[str]:
    """The names whose last parts are the given ones."""
    wanted = PurePosixPath(_plain(name)).parts
    return [each for each in config_names() if wanted and (_FOLDER, *each.split('/'))[-len(wanted) :] == wanted]


def _suggestion(name: str | os.PathLike[str]) -> str:
    """What the user may have meant."""
    names = config_names()
    wanted = _plain(name)
    by_stem = {each.rpartition('/')[2]: each for each in reversed(names)}
    close = [by_stem[each] for each in difflib.get_close_matches(wanted.rpartition('/')[2], by_stem)]
    close += difflib.get_close_matches(wanted, names)
    meant = f'Did you mean {", ".join(dict.fromkeys(close))}? ' if close else ''
    return f'{meant}"looc list configs" prints all names.'


def _plain(name: str | os.PathLike[str]) -> str:
    return Path(name).as_posix().removesuffix('.py')
