"""The text of the project has none of the words that make it hard to read.

The text is the Markdown pages and the comments and strings of Python files. Docstrings, errors and the titles of
configs are among them.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ('looc_mm', 'tools', 'configs', 'tests', 'benchmarks', 'projects')
#: Pages that are not searched yet.
EXEMPT = {'README.md', 'CHANGELOG.md'}
#: What to search for, and what to write. "stand-in" is a noun, and not found.
FORBIDDEN = {
    r'stands?(?!-)': 'is, means',
    r'lies?': 'is',
    r'tells?': 'shows, distinguishes',
    r'in place of': 'instead of',
    r'anew': 'again',
    r'by itself': 'alone',
    r'says (?:which|what|how|who)': 'names, gives, describes',
    r'the one to': 'use this one to',
    r'what lacks': 'what is missing',
    r"the spaces'": 'of the spaces',
}
_WORDS = '|'.join(FORBIDDEN).replace(' ', r'[\s#]+')  # a phrase can continue in the next line
PATTERN = re.compile(rf'(?<![\w-])(?:{_WORDS})(?!\w)', re.IGNORECASE)


def text_of_python(source: str) -> Iterator[tuple[int, str]]:
    """The line where each string and each block of comments begins, and its text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    comments = [
        token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type == tokenize.COMMENT
    ]
    block: list[tokenize.TokenInfo] = []
    for comment in comments:
        if block and comment.start != (block[-1].start[0] + 1, block[-1].start[1]):
            yield block[0].start[0], '\n'.join(each.string for each in block)
            block = []
        block.append(comment)
    if block:
        yield block[0].start[0], '\n'.join(each.string for each in block)


def forbidden(path: Path) -> list[str]:
    """Where a file has forbidden words."""
    source = path.read_text()
    texts = text_of_python(source) if path.suffix == '.py' else [(1, source)]
    return sorted(
        f'{path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name}:'
        f'{line + text.count(chr(10), 0, match.start())}: {" ".join(match[0].split())}'
        for line, text in texts
        for match in PATTERN.finditer(text)
    )


def test_pages_are_in_plain_english():
    pages = [*ROOT.glob('*.md'), *(ROOT / 'docs').rglob('*.md'), *(ROOT / 'projects').rglob('*.md')]
    assert {page.name for page in pages} >= {'README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'methods.md'}
    assert not [found for page in pages if page.name not in EXEMPT for found in forbidden(page)]


@pytest.mark.parametrize('folder', FOLDERS)
def test_comments_and_strings_are_in_plain_english(folder):
    files = [path for path in sorted((ROOT / folder).rglob('*.py')) if path != Path(__file__)]
    assert files
    assert not [found for path in files for found in forbidden(path)]


def test_the_search_finds_strings_and_comments_and_not_code(tmp_path):
    path = tmp_path / 'example.py'
    path.write_text(
        '"""It stands\n\nin place\nof it."""\n'
        'size = file.tell()  # a stand-in, understands\n'
        "raise ValueError(f'{size} lies in ' f'the way')\n"
        '# It is drawn in\n'
        '# place of the other.\n'
    )
    assert forbidden(path) == [
        'example.py:1: stands',
        'example.py:3: in place of',
        'example.py:6: lies',
        'example.py:7: in # place of',
    ]
    page = tmp_path / 'page.md'
    page.write_text('It names the file.\nIt SAYS how, and the file\nlies there.')
    assert forbidden(page) == ['page.md:2: SAYS how', 'page.md:3: lies']
