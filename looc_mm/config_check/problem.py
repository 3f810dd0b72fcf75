"""What is wrong with a config."""

from collections.abc import Sequence
from typing import NamedTuple


class Problem(NamedTuple):
    """One thing that is wrong.

    Attributes:
        path: The key, with all keys that lead to it.
        text: What was got and what is allowed.
    """

    path: str
    text: str


class ConfigError(ValueError):
    """All that is wrong with a config.

    Args:
        problems: What is wrong.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [f'  {path}: {text}{"" if text[-1:] in ".?" else "."}' for path, text in self.problems]
        number = f'{len(lines)} mistakes' if len(lines) > 1 else 'a mistake'
        super().__init__('\n'.join([f'The config has {number}:', *lines]))
