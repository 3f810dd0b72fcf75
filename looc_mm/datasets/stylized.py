"""Stylised versions of an image, made beforehand, as candidates for the texture augmentation to choose from."""

import logging
import os
from bisect import bisect_left
from collections.abc import Sequence
from itertools import islice, takewhile

from mmengine.logging import print_log

from looc_mm.registry import TRANSFORMS
from looc_mm.stack import BaseTransform

from .decoding import EXTENSIONS, PictureError, decode
from .transforms import to_square

INFIX = '-stylized-'  # <stem>-stylized-<style>.jpg, stylize-datasets' naming
RANDOM_WEIGHTS = 'RANDOM_WEIGHTS.txt'  # tools/stylize.py leaves this beside what random weights made


@TRANSFORMS.register_module()
class LoadStylized(BaseTransform):
    """Load K stylised versions of an image; belongs between ``LoadCanvas`` and ``PackCanvas``.

    The folders mirror the tree of the source. Two layouts are read, whichever a file has: Stylized-ImageNet's
    ``<folder>/<stem>.png`` (or the image's own extension), one style in each folder, so that K styles are K folders;
    and ``<folder>/<stem>-stylized-<style>.<ext>`` of stylize-datasets and ``tools/stylize.py``, many styles in one.
    Stylized-ImageNet as published shows the middle square of each picture, and its crops less than the original's.

    Names are listed once per folder and worker and stay in memory, about 100 bytes each.

    Args:
        source: The folder that the dataset's image paths are under.
        stylized: The folder of the stylised versions, or a list of such.
        styles: K. Of more versions the first K are taken, by folder and then by name.

    Raises:
        ValueError: If ``styles`` is below 1 or a stylised folder is the source itself.
    """

    def __init__(self, source: str, stylized: str | Sequence[str], styles: int = 4) -> None:
        self.source = _absolute(source)
        self.stylized = [_absolute(each) for each in ([stylized] if isinstance(stylized, str) else stylized)]
        self.styles = styles
        if styles < 1:
            raise ValueError(f'LoadStylized got styles={styles}; it needs at least 1.')
        if self.source in self.stylized:
            raise ValueError(f'LoadStylized got {self.source!r} as the source and as stylised; give two folders.')
        for folder in self.stylized:
            if os.path.exists(os.path.join(folder, RANDOM_WEIGHTS)):
                message = (
                    f'{folder!r} was made with random weights: its pictures are no stylisations, only for trying out'
                )
                print_log(message, logger='current', level=logging.WARNING)
        self._names: dict[str, list[str]] = {}

    def transform(self, results: dict) -> dict:
        """Add the candidates.

        Args:
            results: Holds ``img_path`` and, by ``LoadCanvas``, ``img`` (size, size, 3).

        Returns:
            ``results`` with ``candidates``: K arrays (size, size, 3) uint8 BGR.

        Raises:
            ValueError: The image is not under the source, has fewer than K stylised versions, or one of them
                cannot be decoded.
        """
        paths = self.find(results['img_path'])
        size = results['img'].shape[0]
        results['candidates'] = []
        for path in paths:
            try:
                img = decode(path)
            except PictureError as error:
                raise PictureError(
                    f'{error} Move the file away and run tools/stylize.py again, which makes what is missing.',
                    error.kind,
                    error.reason,
                ) from error
            results['candidates'].append(to_square(img, size))
        return results

    def find(self, image: str) -> list[str]:
        """Paths of the first K stylised versions of an image; raises as :meth:`transform` does."""
        relative = os.path.relpath(_absolute(image), self.source)
        if relative.split(os.sep)[0] == os.pardir:
            raise ValueError(
                f'LoadStylized got the image {image!r}, which is not under source={self.source!r}; set source to the '
                "folder that the dataset's pictures are in."
            )
        mirrors = [os.path.join(folder, relative) for folder in self.stylized]
        found = [os.path.join(os.path.dirname(each), match) for each in mirrors for match in self._matches(each)]
        if len(found) < self.styles:
            raise ValueError(
                f'{image!r} has {len(found)} stylised versions in {self.stylized}, {found}, and styles={self.styles} '
                f'are needed. Make them by tools/stylize.py --styles-per-image {self.styles}, name more folders, or '
                f'set styles={len(found) or 1} in LoadStylized and StylizedTexture.'
            )
        return found[: self.styles]

    def _matches(self, mirror: str) -> list[str]:
        """Names of the stylised versions at the place where one folder mirrors the image, sorted."""
        folder, name = os.path.split(mirror)
        stem, extension = os.path.splitext(name)
        if folder not in self._names:
            try:
                with os.scandir(folder) as entries:
                    self._names[folder] = sorted(entry.name for entry in entries)
            except (FileNotFoundError, NotADirectoryError):
                self._names[folder] = []
        names = self._names[folder]
        run = islice(names, bisect_left(names, stem + INFIX), None)  # names of one beginning are neighbours
        styled = takewhile(lambda each: each.startswith(stem + INFIX), run)
        mirrored = sorted({stem + '.png', stem + extension})
        places = [bisect_left(names, each) for each in mirrored]
        return [
            *(each for each, place in zip(mirrored, places, strict=True) if names[place : place + 1] == [each]),
            *(each for each in styled if each.lower().endswith(EXTENSIONS)),
        ]

    def __repr__(self) -> str:
        """Show the arguments."""
        return f'LoadStylized(source={self.source!r}, stylized={self.stylized}, styles={self.styles})'


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path))
