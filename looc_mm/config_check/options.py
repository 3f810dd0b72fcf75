"""The values of the command line, as a user typed them, and the places in a config that they go to.

Nothing here needs PyTorch, but for a place that the config does not have yet.
"""

import os
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config
from mmengine.config.config import DictAction

from .problem import ConfigError, Problem

_MISSING = object()
_SPACE = '\x00'  # of a text, while the other spaces are dropped


class Options(dict[str, Any]):
    """Values by key, with the text of each.

    Attributes:
        text: What was typed.
    """

    def __init__(self) -> None:
        super().__init__()
        self.text: dict[str, str] = {}

    def add(self, word: str) -> None:
        """Add a word KEY=VALUE.

        Raises:
            ValueError: It is no such word.
        """
        key, equals, text = word.partition('=')
        if not equals or not key:
            raise ValueError(f'got {word!r}; write KEY=VALUE, and quotes around a value with spaces: KEY="a b"')
        self.text[key] = _unquoted(text)
        self[key] = parse(text)


def parse(text: str) -> Any:
    """A number, a bool, None, a list or a text, as MMEngine reads it; but spaces within a text stay.

    Raises:
        ValueError: A bracket is missing.
    """
    separators, kept = ' ,[]()', ''
    plain = _unquoted(text)
    for place, letter in enumerate(plain):
        before, after = plain[:place].rstrip(' ')[-1:], plain[place:].lstrip(' ')[:1]
        inside = letter == ' ' and before and after and before not in separators and after not in separators
        kept += _SPACE if inside else letter
    try:
        return _with_spaces(DictAction._parse_iterable(kept))
    except AssertionError:
        raise ValueError(f'{text!r} has brackets that do not match') from None


def merge_options(config: Config, options: Mapping[str, Any]) -> None:
    """Set keys of a config, and switch off what needs worker processes where there are none.

    Where the config has a text, or the argument takes nothing but a text, the value is the text as it was typed.

    Args:
        config: The config; changed in place.
        options: Values by key. An :class:`Options` has their texts; of another mapping the values are taken as
            they are.

    Raises:
        ConfigError: A key leads to no place in the config.
    """
    texts = getattr(options, 'text', {})
    problems = []
    for key, value in options.items():
        place, problem = _place(config, key)
        if problem:
            problems.append(Problem(key, problem))
            continue
        config.merge_from_dict({key: _typed(config, key, place, value, texts[key]) if key in texts else value})
    if problems:
        raise ConfigError(problems)
    without_workers(config, options)


def without_workers(config: Config, options: Mapping[str, Any]) -> None:
    """Where ``num_workers`` is 0, leave out what PyTorch accepts with workers only; the config is changed in place."""
    places = {f'{name}_dataloader': config.get(f'{name}_dataloader') for name in ('train', 'val', 'test')}
    places['test_cfg.train_dataloader'] = (config.get('test_cfg') or {}).get('train_dataloader')
    for path, loader in places.items():
        if not isinstance(loader, Mapping) or loader.get('num_workers') != 0:
            continue
        for key in ('persistent_workers', 'prefetch_factor'):
            if f'{path}.{key}' not in options:
                loader.pop(key, None)  # type: ignore[attr-defined]


def data_root_options(config: Config, data_root: str | None, *loaders: str) -> dict[str, str]:
    """The options that make the datasets of some dataloaders read from a folder; none for None.

    Args:
        config: The config.
        data_root: The folder; sub-folders by which the dataloaders differ stay.
        *loaders: Paths of the dataloaders.

    Raises:
        ValueError: A dataset has no folder.
    """
    if data_root is None:
        return {}
    roots = []
    for loader in loaders:
        dataset = _place(config, f'{loader}.dataset')[0]
        if not isinstance(dataset, Mapping) or 'data_root' not in dataset:
            kind = dataset.get('type') if isinstance(dataset, Mapping) else None
            raise ValueError(
                f'--data-root sets {loader}.dataset.data_root, and the dataset of the config ({kind}) has none: it '
                f'reads no folder. Take a config with type=ImageFolder, such as looc_r50_folder.'
            )
        roots.append(dataset['data_root'])
    shared = os.path.commonpath(roots)  # 'data' of data/train and data/val
    paths = [os.path.normpath(os.path.join(data_root, os.path.relpath(root, shared))) for root in roots]
    return {f'{loader}.dataset.data_root': path for loader, path in zip(loaders, paths, strict=True)}


def _place(config: Config, key: str) -> tuple[Any, str | None]:
    """What is at a key, and why there cannot be anything."""
    place: Any = config._cfg_dict
    for path, name in _steps(key):
        if place is _MISSING or place is None or isinstance(place, Mapping):
            place = place.get(name, _MISSING) if isinstance(place, Mapping) else _MISSING
        elif isinstance(place, tuple):
            return _MISSING, f'cannot be set: {path} is {place!r}. Allowed: all its values, {path}="{place}"'
        elif isinstance(place, list):
            if not name.isdigit() or int(name) >= len(place):
                return _MISSING, f'got the index {name!r}; allowed: 0 to {len(place) - 1}, {path} is a list'
            place = place[int(name)]
        else:
            return _MISSING, f'cannot be set: {path} is {place!r}, which has no keys. Allowed: {path}=VALUE'
    return place, None


def _steps(key: str) -> Iterator[tuple[str, str]]:
    """The path so far and the next key."""
    names = key.split('.')
    for number, name in enumerate(names):
        yield '.'.join(names[:number]), name


def _typed(config: Config, key: str, place: Any, value: Any, text: str) -> Any:
    """The value of an option for its place."""
    if isinstance(place, str):
        if text != 'None':
            return text
        from .components import hint_at
        from .hints import takes_none

        return None if takes_none(hint_at(config, key)) else text
    if (place is _MISSING or place is None) and text != 'None' and value != text:
        from .components import hint_at
        from .hints import takes_text_alone

        return text if takes_text_alone(hint_at(config, key)) else value
    if isinstance(place, list | tuple) and place and all(isinstance(each, str) for each in place):
        return [str(each) for each in value] if isinstance(value, list | tuple) else value
    return value


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in '\'"' else text


def _with_spaces(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace(_SPACE, ' ')
    return type(value)(map(_with_spaces, value)) if isinstance(value, list | tuple) else value
