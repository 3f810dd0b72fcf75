"""What is in a folder of pictures."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from looc_mm.datasets.broken import SHARE
from looc_mm.datasets.decoding import EXTENSIONS, PictureError, picture_size
from looc_mm.datasets.folder import Listing, counts
from looc_mm.datasets.list_file import is_list, read_list

#: Pictures whose sizes are read, from the headers of the files.
SAMPLE = 500


@dataclass(frozen=True)
class PictureFolder:
    """The pictures of a folder.

    Attributes:
        folder: Where they are read from: the folder or list that was given, or the folder's ``train``.
        split: Whether the folder that was given has ``train`` and ``val``.
        endings: Number of pictures by ending.
        passed_over: Number of other files by ending; '' for a name without one.
        sizes: (width, height) in pixels of a random sample of the pictures.
        unreadable: What is wrong with pictures of the sample that cannot be read, by path.
        links: Links to folders that are listed already.
    """

    folder: Path
    split: bool
    endings: Mapping[str, int]
    passed_over: Mapping[str, int]
    sizes: Sequence[tuple[int, int]]
    unreadable: Mapping[str, str]
    links: Sequence[str] = ()

    @property
    def count(self) -> int:
        """Number of pictures."""
        return sum(self.endings.values())

    @property
    def short_side(self) -> int:
        """Median length of the shorter side, in pixels."""
        return round(median(min(size) for size in self.sizes))

    def lines(self) -> dict[str, str]:
        """What a user wants to know, by topic."""
        width, height = (round(median(size[axis] for size in self.sizes)) for axis in (0, 1))
        short = sorted({min(size) for size in self.sizes})
        sides = f'{short[0]} px' if len(short) == 1 else f'{short[0]} to {short[-1]} px'
        found = {
            'pictures': f'{self.count:,} in {self.folder}: {counts(self.endings)}',
            'left out': counts(self.passed_over) or 'no file',
            'sizes': f'{width} x {height} px in the median; shorter sides {sides} '
            f'({len(self.sizes):,} pictures looked at)',
        }
        if self.split:
            found['pictures'] += '; val/ is left unseen, for looc test'
        if self.links:
            found['links'] = f'{len(self.links)} to folders that are listed already, such as {self.links[0]}'
        if self.unreadable:
            path, reason = next(iter(self.unreadable.items()))
            bad = f'{len(self.unreadable)} of these cannot be read, such as {path}: {reason}'
            found['damaged'] = f'{bad}; others replace such pictures, up to {100 * SHARE:g} % of all'
        return found


def find_pictures(folder: str | Path, seed: int = 0) -> PictureFolder:
    """Count the pictures of a folder of any depth, and look at the sizes of some.

    Only ``train`` is used where the folder has ``train`` and ``val``, so that ``val`` can test the result.

    Args:
        folder: The folder, or a list of pictures, see :func:`looc_mm.datasets.list_file.read_list`.
        seed: Of the sample.

    Raises:
        FileNotFoundError: There is no such folder, or no picture in it.
        PermissionError: A folder in it cannot be listed.
        ValueError: No picture of the sample can be read.
    """
    root, listing = Path(folder).expanduser(), Listing()
    split = all((root / name).is_dir() for name in ('train', 'val'))
    if is_list(root):
        root = root.resolve()
        paths = read_list(root)
    elif root.is_dir():
        root = (root / 'train' if split else root).resolve()
        paths = sorted(listing.add(str(root)))
        listing.check()
    else:
        raise FileNotFoundError(
            f'There is no folder {str(folder)!r}; give a folder of pictures, of any depth, or a list (.txt, .csv).'
        )
    if not paths:
        held = f'only {counts(listing.passed_over)}' if listing.passed_over else 'no file'
        raise FileNotFoundError(
            f'{str(root)!r} holds no pictures, {held}. Names of pictures end with {" ".join(EXTENSIONS)}.'
        )
    sizes: list[tuple[int, int]] = []
    unreadable: dict[str, str] = {}
    for path in random.Random(seed).sample(paths, min(SAMPLE, len(paths))):
        try:
            height, width = picture_size(path)
            sizes.append((width, height))
        except (PictureError, OSError) as error:
            unreadable[path] = getattr(error, 'reason', str(error))
    if not sizes:
        path, reason = next(iter(unreadable.items()))
        raise ValueError(f'None of {len(unreadable)} pictures in {str(root)!r} can be read, such as {path}: {reason}.')
    endings = Counter(Path(path).suffix.lower() for path in paths)
    return PictureFolder(root, split, endings, listing.passed_over, sizes, unreadable, listing.repeated)
