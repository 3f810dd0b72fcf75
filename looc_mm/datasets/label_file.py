"""Files that list pictures with their labels, one to a line: ``a/1.jpg 3``."""

from pathlib import Path


def check_label_file(path: str | Path) -> None:
    """Refuse a file that is no list of pictures and labels.

    Args:
        path: The file, text in UTF-8.

    Raises:
        ValueError: With the file and the line: it is blank, its last word is no number that is 0 or more, or its
            picture was listed before. Or the file is empty, or is no text in UTF-8.
        FileNotFoundError: There is no such file.
    """
    try:
        text = Path(path).read_text(encoding='utf-8')
    except UnicodeDecodeError as error:
        raise ValueError(f'{path} is no text in UTF-8 ({error}); save it as UTF-8.') from error
    if text.startswith('\ufeff'):
        raise ValueError(f'{path} begins with a byte order mark; save it as UTF-8 without it.')
    lines = text.removesuffix('\n').split('\n')  # as MMPreTrain reads them
    first: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        name, _, label = line.strip().rpartition(' ')
        if not line.strip():
            problem = 'is blank' if text.strip() else 'is blank, as the whole file is'
        elif not name.strip():
            problem = 'has no label'
        elif not (label.isascii() and label.isdigit()):
            problem = f'has the label {label!r}'
        elif (other := first.setdefault(name, number)) != number:
            problem = f'lists the picture of line {other} again'
        else:
            continue
        raise ValueError(
            f'{path}, line {number} {problem}: {line!r}. Each line is the path of a picture, a space and the number of '
            f'its class, 0 or more, such as "a/1.jpg 3". Names of classes go to the dataset\'s argument classes.'
        )
