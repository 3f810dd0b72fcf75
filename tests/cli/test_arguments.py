"""An argparse argument for each parameter of a function."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args

import pytest

from looc_mm.cli import COMMANDS
from looc_mm.cli.arguments import Launcher, Options, Plugins, add_arguments, description
from looc_mm.engine.launch import LAUNCHERS


def paint(
    source: Path,
    rest: Sequence[str] = (),
    *,
    sizes: Sequence[int] = (1, 2),
    share: float | None = None,
    mode: Literal['light', 'dark'] = 'light',
    keep_all: bool = False,
    resume: Annotated[str | None, {'nargs': '?', 'const': 'auto'}] = None,
    plugin: Plugins = (),
    cfg_options: Options = None,
    out: Path,
) -> None:
    """Paint.

    It takes 100 % of the time::

        paint x

    Args:
        source: what to paint
        rest: more
        sizes: sides
            in pixels
        share: of 100 %
        mode: how
        keep_all: all
        resume: go on
        plugin: files
        cfg_options: options
        out: where

    Raises:
        ValueError: Never.
    """


@pytest.fixture
def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='paint')
    add_arguments(parser, paint)
    return parser


def test_defaults_are_those_of_the_function(parser):
    assert vars(parser.parse_args(['a', '--out', 'b'])) == {
        'source': Path('a'),
        'rest': [],
        'sizes': [1, 2],
        'share': None,
        'mode': 'light',
        'keep_all': False,
        'resume': None,
        'plugin': [],
        'cfg_options': None,
        'out': Path('b'),
    }


def test_every_kind_of_value(parser):
    words = 'a x y --sizes 3 --share 0.5 --mode dark --keep-all --resume --plugin p.py --plugin q.py --out b'
    options = ['--cfg-options', 'a.b=1', 'c=[2,x]', '--cfg-options', 'd=true']
    assert vars(parser.parse_args([*words.split(), *options])) == {
        'source': Path('a'),
        'rest': ['x', 'y'],
        'sizes': [3],
        'share': 0.5,
        'mode': 'dark',
        'keep_all': True,
        'resume': 'auto',
        'plugin': ['p.py', 'q.py'],
        'cfg_options': {'a.b': 1, 'c': [2, 'x'], 'd': True},
        'out': Path('b'),
    }
    assert parser.parse_args(['a', '--out', 'b']).plugin == [], 'the list of one call is not the default of the next'


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['a'], 'required: --out'),
        (['a', '--out', 'b', '--mode', 'grey'], "invalid choice: 'grey'"),
        (['a', '--out', 'b', '--sizes', 'x'], "invalid int value: 'x'"),
    ],
)
def test_wrong_words(parser, capsys, words, message):
    with pytest.raises(SystemExit, match='2'):
        parser.parse_args(words)
    assert message in capsys.readouterr().err


def test_the_docstring_is_the_help(parser):
    text = ' '.join(parser.format_help().split())
    assert 'sides in pixels (default: 1 2)' in text and 'of 100 %' in text and 'how (default: light)' in text
    assert 'all (default' not in text and 'Never' not in text
    assert description(paint) == 'Paint.\n\nIt takes 100 % of the time:\n\n    paint x'


def test_the_launchers_are_those_of_the_engine():
    assert get_args(Launcher) == LAUNCHERS


@pytest.mark.parametrize('name', COMMANDS)
def test_every_command_describes_itself(name):
    parser = argparse.ArgumentParser()
    add_arguments(parser, COMMANDS[name])
    assert all(action.help for action in parser._actions)
    assert description(COMMANDS[name])
