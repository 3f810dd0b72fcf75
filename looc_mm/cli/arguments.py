"""The command line of a function: each of its parameters is an argument, its docstring has the help.

    def train(config: str, *, work_dir: str | None = None, amp: bool = False) -> None:

gives ``CONFIG [--work-dir WORK_DIR] [--amp]``: a parameter by position is an argument by position, a keyword is an
option. `bool` is a flag, `Sequence` is several words, `Literal` has the allowed words, of a union the first type is
taken. `Annotated[type, {...}]` has settings of ``argparse.ArgumentParser.add_argument`` that the type does not give.
"""

import argparse
import inspect
import re
from collections.abc import Callable, Sequence
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin


class UsageError(ValueError):
    """The arguments do not fit each other."""


class KeyValues(argparse.Action):
    """KEY=VALUE words as :class:`looc_mm.config_check.options.Options`, which takes half a second to import."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any) -> None:
        """Add KEY=VALUE words to the dictionary."""
        from looc_mm.config_check.options import Options

        options = getattr(namespace, self.dest, None) or Options()
        for word in values:
            try:
                options.add(word)
            except ValueError as error:
                parser.error(f'{self.option_strings[0]} {error}')
        setattr(namespace, self.dest, options)


Options = Annotated[dict[str, Any] | None, {'type': str, 'nargs': '+', 'action': KeyValues, 'metavar': 'KEY=VALUE'}]
Plugins = Annotated[Sequence[str], {'nargs': None, 'action': 'append', 'metavar': 'FILE.py'}]
Launcher = Literal['none', 'pytorch', 'slurm', 'mpi']


def add_arguments(parser: argparse.ArgumentParser, function: Callable[..., Any]) -> None:
    """Add an argument for each parameter of a function, which then takes ``**vars(parser.parse_args())``.

    Args:
        parser: Changed in place.
        function: With type hints, and a docstring that describes every parameter under ``Args:``.
    """
    descriptions = _descriptions(function)
    for name, parameter in inspect.signature(function).parameters.items():
        settings = {**_settings(parameter.annotation), 'help': descriptions[name].replace('%', '%%')}
        required = parameter.default is parameter.empty
        if not required:
            many = isinstance(parameter.default, tuple)
            settings['default'] = list(parameter.default) if many else parameter.default
            shown = ' '.join(map(str, parameter.default)) if many else str(parameter.default)
            if shown not in ('None', 'False', ''):
                settings['help'] += f' (default: {shown})'
        if parameter.kind is parameter.KEYWORD_ONLY:
            parser.add_argument(f'--{name.replace("_", "-")}', required=required, **settings)
        else:
            if not required:
                settings['nargs'] = '*' if settings.get('nargs') else '?'
            parser.add_argument(name, **settings)


def summary(function: Callable[..., Any]) -> str:
    """The first line of the docstring of a function or class."""
    return (inspect.getdoc(function) or '').partition('\n')[0]


def description(function: Callable[..., Any]) -> str:
    """The docstring up to the arguments."""
    return (inspect.getdoc(function) or '').partition('\nArgs:\n')[0].replace('::\n', ':\n').strip()


def _descriptions(function: Callable[..., Any]) -> dict[str, str]:
    """What the docstring says about each parameter, as one line."""
    section = (inspect.getdoc(function) or '').partition('\nArgs:\n')[2].partition('\n\n')[0]
    found = re.findall(r'^    (\w+): (.+(?:\n {8}.+)*)', section, re.MULTILINE)
    return {name: ' '.join(text.split()) for name, text in found}


def _settings(hint: Any) -> dict[str, Any]:
    """What argparse has to know about a type."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return {**_settings(parts[0]), **parts[1]}
    if origin in (Union, UnionType):
        return _settings(parts[0])
    if origin is Sequence:
        return {'nargs': '+', **_settings(parts[0])}
    if origin is Literal:
        return {'choices': parts, 'type': type(parts[0])}
    if hint is bool:
        return {'action': 'store_true'}
    return {'type': hint}
