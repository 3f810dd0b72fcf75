"""All that is wrong with a config, before anything of it runs."""

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from . import ranges, trial
from .components import ADDED, TYPED, Component, components, names_in, top_level
from .hints import fits, shown
from .problem import ConfigError, Problem

#: Keys that MMEngine reads from any entry.
ANYWHERE = {'type', '_scope_', '_delete_'}
MANY = 40  # names are not listed, but our own


def check_config(config: Config, options: Mapping[str, Any] | None = None) -> None:
    """Check a config with all its changes.

    Unknown keys, values of a wrong type or out of range, missing arguments, unknown types, parts that do not fit each
    other. The values of ``options`` are in the config already.

    Args:
        config: The merged config.
        options: The keys that were set on the command line.

    Raises:
        ConfigError: With all that is wrong, each with its key, what was got and what is allowed.
    """
    with DefaultScope.overwrite_default_scope(config.get('default_scope') or 'looc_mm'):
        if problems := list(find_problems(config.to_dict(), options or {})):
            raise ConfigError(problems)


def find_problems(config: Mapping[str, Any], options: Mapping[str, Any]) -> list[Problem]:
    """All that is wrong with a config; see :func:`check_config`."""
    found = list(_top_level(config, options))
    parts = list(components(config))
    for part in parts:
        found += _of_component(part)
    found += ranges.problems(config, parts)
    wrong = tuple(problem.path for problem in found)
    with torch.random.fork_rng(devices=[]):
        found += trial.problems(config, parts, wrong)
    return list({(problem.path, problem.text): problem for problem in found}.values())


def _top_level(config: Mapping[str, Any], options: Mapping[str, Any]) -> Iterator[Problem]:
    known = top_level()
    paths = dict(_leaves({key: entry for key, entry in config.items() if key in known}))
    for key in options:
        top = key.partition('.')[0]
        if top not in known:
            used = 'The config file may use it as a variable of its own; it did so before this change. '
            yield Problem(
                key,
                f'is set on the command line, and nothing reads {top}. {used if "." not in key else ""}'
                f'{_suggest(key, known, paths)}',
            )
    given = {key.partition('.')[0] for key in options}
    for name, value in config.items():
        if name in known:
            if not fits(value, known[name]):
                yield Problem(name, f'got {value!r}; allowed: {shown(known[name])}')
        elif not name.startswith('_') and name not in given and _looks_meant(name, value, known, paths):
            yield Problem(
                name,
                f'is set in the config, and nothing reads it. {_suggest(name, known, paths)}. If it is a variable of '
                f'your own, begin its name with an underscore: _{name}',
            )


def _looks_meant(name: str, value: Any, known: Mapping[str, Any], paths: Mapping[str, Any]) -> bool:
    """Whether an unknown name of a config file was meant to change something.

    It resembles a name that is read; or it is the name of an entry further down, and its value is used nowhere.
    """
    if difflib.get_close_matches(name, known, 1, 0.8):
        return True
    below = [path for path in paths if path.endswith(f'.{name}')]
    used = (each for path, each in paths.items() if not path.startswith(('default_hooks.', 'log_processor.')))
    return bool(below) and not any(_is_used(value, each) for each in used)


def _is_used(value: Any, entry: Any) -> bool:
    if isinstance(value, str) and isinstance(entry, str):
        return value in entry
    if isinstance(value, Mapping) and isinstance(entry, Mapping):
        # The base config may have added keys, and the command line may have changed values.
        return all(key in entry for key in value) and any(_is_used(each, entry[key]) for key, each in value.items())
    return type(value) is type(entry) and value == entry


def _leaves(entry: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """Every path in a config, with what is there."""
    if path:
        yield path, entry
    pairs = entry.items() if isinstance(entry, Mapping) else enumerate(entry) if isinstance(entry, list | tuple) else ()
    for key, each in pairs:
        yield from _leaves(each, f'{path}.{key}' if path else str(key))


def _suggest(key: str, known: Mapping[str, Any], paths: Mapping[str, Any]) -> str:
    """The nearest path that there is."""
    top, _, rest = key.partition('.')
    ends = [path for path in paths if path.endswith(f'.{key}')] or [path for path in paths if path.endswith(f'.{top}')]
    near = difflib.get_close_matches(top, known, 1)
    if near and difflib.SequenceMatcher(None, top, near[0]).ratio() > 0.8:
        return f'Did you mean {near[0]}{"." + rest if rest else ""}?'
    if ends:
        shortest = min(ends, key=len)
        return f'Did you mean {shortest if shortest.endswith(key) else f"{shortest}.{rest}"}?'
    return f'Did you mean {near[0]}?' if near else f'Allowed: {", ".join(sorted(known))}'


def _of_component(part: Component) -> Iterator[Problem]:
    """What is wrong with the keys of one component and the types of their values."""
    kind = part.config.get('type')
    if part.kind is None and part.registry is not None:
        yield _unknown_type(part, kind)
        return
    name = getattr(part.kind, '__name__', part.key)
    added = ADDED.get(part.key, set())
    for key, value in part.config.items():
        path = f'{part.path}.{key}'
        if key in ANYWHERE:
            continue
        if key not in part.takes.hints and not part.takes.open:
            known = sorted(part.takes.hints.keys() - added)
            yield Problem(path, f'is unknown: {name} has no argument {key!r}. {_nearest(key, known)}')
        elif key in TYPED and part.takes.hints.get(key) is Any and isinstance(value, str | int | float):
            yield Problem(path, f'got {value!r}; allowed: a dict with the key type, or a list of such')
        elif key in part.takes.hints and not fits(value, part.takes.hints[key]):
            yield Problem(path, _wrong_type(value, part.takes.hints[key]))
    for key in sorted(part.takes.required - part.config.keys() - added):
        yield Problem(f'{part.path}.{key}', f'is missing: {name} needs it, {shown(part.takes.hints[key])}')


def _wrong_type(value: Any, hint: Any) -> str:
    text = f'got {value!r}; allowed: {shown(hint)}'
    if isinstance(value, list) and any(isinstance(each, str) and '=' in each for each in value):
        text += (
            '. The command line cannot write a dict: set keys of the dicts that the config has, such as KEY.0.k=5, '
            'choose protocols by --protocols, or write it in a config file'
        )
    return text


def _unknown_type(part: Component, kind: Any) -> Problem:
    assert part.registry is not None
    names = names_in(part.registry)
    allowed = names
    if len(names) > MANY:
        own = sorted(part.registry.module_dict)
        allowed = [*own, f'or one of the {len(names) - len(own)} of MMPreTrain and MMEngine']
    plugin = 'A class of your own needs custom_imports in the config or --plugin FILE.py'
    if kind is None:
        return Problem(f'{part.path}.type', f'is missing. Allowed: {", ".join(allowed)}')
    what = f'is no {part.registry.name} that is registered' if kind else 'is empty'
    return Problem(f'{part.path}.type', f'got {kind!r}, which {what}. {_nearest(str(kind), names, allowed)}. {plugin}')


def _nearest(name: str, known: Sequence[str], allowed: Sequence[str] | None = None) -> str:
    near = difflib.get_close_matches(name, known, 1) or difflib.get_close_matches(
        re.sub(r'\W', '', name).lower(), [each.lower() for each in known], 1
    )
    meant = [each for each in known if near and each.lower() == near[0].lower()]
    return (f'Did you mean {meant[0]}? ' if meant else '') + f'Allowed: {", ".join(allowed or known) or "nothing"}'
