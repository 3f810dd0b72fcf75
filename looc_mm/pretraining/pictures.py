"""What is in a folder of pictures."""

import os
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from PIL import Image

from looc_mm.datasets.folder import EXTENSIONS, ImageFolder, visible_files

#: Pictures whose sizes are read, from the headers of the files.
SAMPLE = 500


@dataclass(frozen=True)
class PictureFolder:
    """The pictures of a folder.

    Attributes:
        folder: Where they are read from: the folder that was given, or its ``train``.
        split: Whether the folder that was given has ``train`` and ``val``.
        endings: Number of pictures by ending.
        passed_over: Number of other files by ending; '' for a name without one.
        sizes: (width, height) in pixels of a random sample of the pictures.
        unreadable: Pictures of the sample that cannot be opened.
    """

    folder: Path
    split: bool
    endings: Mapping[str, int]
    passed_over: Mapping[str, int]
    sizes: Sequence[tuple[int, int]]
    unreadable: Sequence[str]

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
            'pictures': f'{self.count:,} in {self.folder}: {_counts(self.endings)}',
            'left out': _counts(self.passed_over) or 'no file',
            'sizes': f'{width} x {height} px in the median; shorter sides {sides} '
            f'({len(self.sizes):,} pictures looked at)',
        }
        if self.split:
            found['pictures'] += '; val/ is left unseen, for looc test'
        if self.unreadable:
            bad = f'{len(self.unreadable)} of these cannot be opened, such as {self.unreadable[0]}'
            found['damaged'] = f'{bad}; such files are skipped'
        return found


def find_pictures(folder: str | Path, seed: int = 0) -> PictureFolder:
    """Count the pictures of a folder of any depth, and look at the sizes of some.

    Only ``train`` is used where the folder has ``train`` and ``val``, so that ``val`` can test the result.

    Args:
        folder: The folder.
        seed: Of the sample.

    Raises:
        FileNotFoundError: There is no such folder, or no picture in it.
        ValueError: No picture of the sample can be opened.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f'There is no folder {str(folder)!r}; give a folder of pictures, of any depth.')
    split = all((root / name).is_dir() for name in ('train', 'val'))
    root = (root / 'train' if split else root).resolve()
    is_picture = ImageFolder(str(root), lazy_init=True).is_valid_file
    paths, passed_over = [], Counter[str]()
    for path in sorted(visible_files(root)):
        if is_picture(os.path.basename(path)):
            paths.append(path)
        else:
            passed_over[Path(path).suffix.lower()] += 1
    if not paths:
        held = f'only {_counts(passed_over)}' if passed_over else 'no file'
        raise FileNotFoundError(
            f'{str(root)!r} holds no pictures, {held}. Names of pictures end with {" ".join(EXTENSIONS)}.'
        )
    sizes, unreadable = [], []
    for path in random.Random(seed).sample(paths, min(SAMPLE, len(paths))):
        try:
            with Image.open(path) as image:
                sizes.append(image.size)
        except (OSError, Image.DecompressionBombError):
            unreadable.append(path)
    if not sizes:
        raise ValueError(f'None of {len(unreadable)} pictures in {str(root)!r} can be opened, such as {unreadable[0]}.')
    endings = Counter(Path(path).suffix.lower() for path in paths)
    return PictureFolder(root, split, endings, passed_over, sizes, unreadable)


def _counts(endings: Mapping[str, int]) -> str:
    """Endings with their numbers, the most frequent first."""
    ordered = sorted(endings.items(), key=lambda item: (-item[1], item[0]))
    return ', '.join(f'{count:,} {ending or "without ending"}' for ending, count in ordered)
