"""Files that list pictures with their labels, one to a line: ``a/1.jpg 3``."""

from pathlib import Path


def check_label_file(path: str | Path) -> None:
    """Refuse a file that is no list of pictures and labels.

    Args:
        path: The file.

    Raises:
        ValueError: With the file and the line: it is blank, or its last word is no number that is 0 or more.
        FileNotFoundError: There is no such file.
    """
    for number, line in enumerate(Path(path).read_text(encoding='utf-8').splitlines(), 1):
        name, _, label = line.strip().rpartition(' ')
        if line.strip() and name.strip() and label.isascii() and label.isdigit():
            continue
        problem = 'is blank' if not line.strip() else f'has the label {label!r}' if name else 'has no label'
        raise ValueError(
            f'{path}, line {number} {problem}: {line!r}. Each line is the path of a picture, a space and the number of '
            f'its class, 0 or more, such as "a/1.jpg 3". Names of classes go to the dataset\'s argument classes.'
        )
