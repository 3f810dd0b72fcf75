"""The command ``looc``: one file for each of its commands, each a function that Python can call too.

    from looc_mm.cli import train

    train('looc_r18_imagenette', amp=True)

Only what a command needs is imported, when it runs: ``looc --help`` takes a tenth of a second, PyTorch takes several.
"""

import argparse
import dis
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from looc_mm.stop import STOPPED, TrainingStoppedError
from looc_mm.version import __version__

from .arguments import UsageError, add_arguments, description, summary
from .audit import audit
from .check_dataset import check_dataset
from .corrupt import corrupt
from .demo import demo
from .export import export
from .extract import extract
from .fit import fit
from .list import list_names
from .pack_canvases import pack_canvases
from .pretrain import PretrainedRun, pretrain
from .show_views import show_views
from .stylize import stylize
from .suite import suite
from .test import test
from .train import train

__all__ = [
    'COMMANDS',
    'PretrainedRun',
    'UsageError',
    'audit',
    'check_dataset',
    'corrupt',
    'demo',
    'export',
    'extract',
    'fit',
    'list_names',
    'main',
    'pack_canvases',
    'pretrain',
    'run_tool',
    'show_views',
    'stylize',
    'suite',
    'test',
    'train',
]

Command = Callable[..., Any]
COMMANDS: dict[str, Command] = {
    'pretrain': pretrain,
    'train': train,
    'test': test,
    'audit': audit,
    'fit': fit,
    'suite': suite,
    'extract': extract,
    'export': export,
    'show-views': show_views,
    'corrupt': corrupt,
    'stylize': stylize,
    'pack-canvases': pack_canvases,
    'check-dataset': check_dataset,
    'demo': demo,
    'list': list_names,
}


def main(words: Sequence[str] | None = None) -> int:
    """Run ``looc COMMAND ...``.

    Args:
        words: The command line without the program; by default that of this process.

    Returns:
        The exit status. A command that returns an int returns its own; 2 after a ValueError or FileNotFoundError that
        looc_mm raised, here or in a worker process, whose message is printed; 75 after a training that was asked to
        stop and wrote a checkpoint. Every other error keeps its traceback.
    """
    parser = argparse.ArgumentParser(
        prog='looc', description='LooC, leave-one-out contrastive learning: "looc COMMAND --help" describes a command.'
    )
    parser.add_argument('--version', action='version', version=__version__)
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')
    parsers = {}
    for name, function in COMMANDS.items():
        parsers[name] = commands.add_parser(name, help=summary(function), **_about(function))
        add_arguments(parsers[name], function)
    if '_ARGCOMPLETE' in os.environ:  # the shell asks for completions: pip install 'looc_mm[completion]'
        import argcomplete

        argcomplete.autocomplete(parser)
    arguments = vars(parser.parse_args(words))
    name = arguments.pop('command')
    try:
        return _run(COMMANDS[name], arguments, parsers[name])
    except (ValueError, FileNotFoundError) as error:
        message = str(error) if _is_ours(error) else _of_a_worker(str(error))
        if message is None:
            raise
        print(f'looc {name}: {message}', file=sys.stderr)
        return 2


def run_tool(function: Command) -> None:
    """Run a command as a file of ``tools/``: with the same arguments, and every error keeps its traceback."""
    parser = argparse.ArgumentParser(**_about(function))
    add_arguments(parser, function)
    if status := _run(function, vars(parser.parse_args()), parser):
        sys.exit(status)


def _run(function: Command, arguments: dict[str, Any], parser: argparse.ArgumentParser) -> int:
    # Read when PyTorch is loaded. By default its threads spin while they wait, which starves the workers that decode.
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    try:
        result = function(**arguments)
    except UsageError as error:
        parser.error(str(error))
    except TrainingStoppedError:
        return STOPPED
    except SystemExit as error:  # of a plug-in: an unfinished run must not look finished
        raise RuntimeError(f'Something called sys.exit({error.code!r}) before the command had finished.') from error
    return result if isinstance(result, int) else 0


def _about(function: Command) -> dict[str, Any]:
    return {'description': description(function), 'formatter_class': argparse.RawDescriptionHelpFormatter}


def _is_ours(error: BaseException) -> bool:
    """Whether the error comes from a ``raise`` of this package; one of a function in C that it called is a defect."""
    traceback = error.__traceback__
    assert traceback is not None
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    frame = traceback.tb_frame
    raised = dis.opname[frame.f_code.co_code[traceback.tb_lasti]] == 'RAISE_VARARGS'
    return raised and frame.f_globals.get('__name__', '').partition('.')[0] == 'looc_mm'


def _of_a_worker(text: str) -> str | None:
    """The message of an error that this package raised in a worker process of a DataLoader; None for other errors.

    PyTorch raises such an error again with the traceback in its message.
    """
    frames = re.findall(r'File "([^"]+)", line \d+, in .*\n +(.*)', text)
    if not text.startswith('Caught ') or not frames:
        return None
    path, code = frames[-1]
    messages = re.findall(r'^[\w.]+(?:Error|Exception): ([^\n]*)', text, re.MULTILINE)
    ours = Path(path).is_relative_to(Path(__file__).parents[1]) and code.startswith('raise ')
    return messages[-1] if ours and messages else None
