"""Files that list pictures, one path a line: ``.txt``, or the first column of a ``.csv``."""

import csv
import os
from pathlib import Path

ENDINGS = ('.txt', '.csv')


def is_list(path: str | Path) -> bool:
    """Whether a path is that of a list, and not of a folder."""
    return str(path).lower().endswith(ENDINGS) and not os.path.isdir(path)


def read_list(path: str | Path) -> list[str]:
    """The pictures that a file lists, in its order. Blank lines are passed over.

    Args:
        path: The file, text in UTF-8. Paths in it are absolute, begin with ``~``, or are relative to its folder.

    Returns:
        Absolute paths. Whether there are such files is found out when they are read.

    Raises:
        FileNotFoundError: There is no such file, or it lists no picture.
        ValueError: It is no text in UTF-8, or lists a picture twice; with the lines.
    """
    file = os.path.abspath(os.path.expanduser(path))
    try:
        with open(file, encoding='utf-8-sig', newline='') as stream:
            if file.lower().endswith('.csv'):
                reader = csv.reader(stream)
                rows = [(reader.line_num, row[0].strip()) for row in reader if row]
            else:
                rows = [(number, line.strip()) for number, line in enumerate(stream, 1)]
    except FileNotFoundError:
        raise FileNotFoundError(f'There is no list {str(path)!r} ({file}); give a file with one path a line.') from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f'{str(path)!r} is no list of pictures: {error}. Save it as text in UTF-8.') from error
    lines: dict[str, int] = {}
    for number, name in rows:
        if not name:
            continue
        picture = os.path.normpath(os.path.join(os.path.dirname(file), os.path.expanduser(name)))
        if (other := lines.setdefault(picture, number)) != number:
            raise ValueError(f'{str(path)!r}, line {number} lists the picture of line {other} again: {name!r}.')
    if not lines:
        raise FileNotFoundError(f'{str(path)!r} lists no picture; write one path a line.')
    return list(lines)
