"""Whether a value of a config fits the type hint of the argument that it is for."""

import contextlib
import inspect
import types
import typing
from collections.abc import Mapping, Sequence, Set
from functools import cache
from numbers import Number
from pathlib import PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

SEQUENCES = (list, tuple)
#: For arguments without a hint whose default is a number: libraries often take one number or several.
NUMBERS = float | Sequence | Mapping


def fits(value: Any, hint: Any) -> bool:
    """Whether a value has the type of a hint; True for hints that are not understood.

    A bool is no number, 2.0 is an integer, a list is as good as a tuple, and a dict may become any object: a config has
    the settings of an object and not the object.
    """
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return fits(value, parts[0])
    if origin in (Union, types.UnionType):
        return any(fits(value, part) for part in parts)
    if origin is Literal:
        return value in parts
    kind = origin or hint
    if kind is None or kind is types.NoneType:
        return value is None
    if kind in (Any, object) or not isinstance(kind, type):
        return True
    if kind is bool:
        return isinstance(value, bool)
    if issubclass(kind, Number):
        return _is_number(value, kind)
    if kind is str or issubclass(kind, PurePath):
        return isinstance(value, str | PurePath)
    if issubclass(kind, Sequence | Set) or kind in SEQUENCES:
        return isinstance(value, SEQUENCES) and _items_fit(value, kind, parts)
    if issubclass(kind, Mapping):
        return isinstance(value, Mapping)
    return isinstance(value, Mapping | kind)


def _is_number(value: Any, kind: type) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return kind is not int or float(value).is_integer()


def _items_fit(value: Any, kind: type, parts: tuple[Any, ...]) -> bool:
    if kind is tuple and len(parts) > 1 and parts[-1] is not ...:  # libraries write Tuple[int] for several, too
        return len(value) == len(parts) and all(map(fits, value, parts))
    return not parts or all(fits(each, parts[0]) for each in value)


def takes_text_alone(hint: Any) -> bool:
    """Whether a text is the only value, but for None, that a hint allows."""
    kinds = [part for part in _alternatives(hint) if part is not types.NoneType]
    return bool(kinds) and all(kind is str or (isinstance(kind, type) and issubclass(kind, PurePath)) for kind in kinds)


def takes_none(hint: Any) -> bool:
    """Whether a hint allows None."""
    return types.NoneType in _alternatives(hint)


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def shown(hint: Any) -> str:
    """A hint for a message: the types without their modules."""
    if hint is bool:
        return 'True or False'
    if hint == NUMBERS:
        return 'a number'
    if hint is Any:
        return 'a value'
    text = inspect.formatannotation(hint).replace('typing.', '').replace('collections.abc.', '')
    return 'None' if text == 'NoneType' else text


@cache
def hints_of(function: Any) -> dict[str, Any]:
    """The type hints of a function, without those that cannot be read."""
    try:
        return typing.get_type_hints(function)
    except Exception:  # names that only a type checker imports: read the others one by one
        names = getattr(function, '__globals__', {})
        found: dict[str, Any] = {}
        for name, hint in getattr(function, '__annotations__', {}).items():
            with contextlib.suppress(Exception):
                found |= typing.get_type_hints(types.SimpleNamespace(__annotations__={name: hint}), names)
        return found


def hint_of(function: Any, parameter: inspect.Parameter) -> Any:
    """The hint of a parameter; without one the type of a default that is a bool, a number or a text."""
    hint = hints_of(function).get(parameter.name, Any)
    default = parameter.default
    if hint is Any and isinstance(default, bool | str):
        return type(default)
    if hint is Any and isinstance(default, int | float):
        return NUMBERS
    if default is None and hint is not Any:
        return hint | None if isinstance(hint, type) else Union[hint, None]  # noqa: UP007, the hint may be no type
    return hint
