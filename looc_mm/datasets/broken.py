"""Pictures that a training replaces because they are missing or cannot be decoded: which ones, and how many."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from looc_mm.files import atomic_write
from looc_mm.stack import BaseDataset

from .decoding import PictureError, warn_once

#: Marks of a sample. A sample that was not read yet has 0.
READ, BROKEN = 1, 2
#: The largest share of broken pictures, by default.
SHARE = 0.01
#: The file in a work dir that lists the broken pictures.
LIST = 'broken_pictures.txt'


class Marks:
    """What the worker processes of a dataset and the training process share, through shared memory.

    Attributes:
        of_samples: (N,) uint8, ``READ``, ``BROKEN`` or 0.
        epoch: () int64.

    Args:
        samples: N.
    """

    def __init__(self, samples: int) -> None:
        self.of_samples = torch.zeros(samples, dtype=torch.uint8).share_memory_()
        self.epoch = torch.zeros((), dtype=torch.int64).share_memory_()


class ReplaceBroken(BaseDataset):
    """A dataset whose pipeline may have ``ignore_broken=True``: another picture then replaces a broken one.

    A picture is broken if its file is missing or is not a picture that looc_mm reads. The replacement depends on the
    index of the sample and on the epoch alone, and not on the number of workers. It is drawn uniformly from the others.
    In test mode a broken picture is an error.

    Attributes:
        marks: Which pictures are broken; None if the pipeline ignores none. The hook ``BrokenPictures`` reports them.
    """

    marks: Marks | None = None

    def full_init(self) -> None:
        """Load the list of samples."""
        super().full_init()
        steps = getattr(self.pipeline, 'transforms', ())
        ignores = any(getattr(step, 'ignore_broken', False) for step in steps) and not self.test_mode
        if ignores and (self.marks is None or len(self.marks.of_samples) != len(self)):
            self.marks = Marks(len(self))

    def __getitem__(self, idx: int) -> Any:
        """A sample, or its replacement.

        Raises:
            PictureError: So many pictures are broken that no replacement was found.
        """
        if not self._fully_initialized:
            self.full_init()
        if self.marks is None:
            return super().__getitem__(idx)
        problem: Exception | None = None
        for candidate in self._candidates(idx, int(self.marks.epoch)):
            try:
                sample = self.prepare_data(candidate)
            except (PictureError, FileNotFoundError) as error:
                self.marks.of_samples[candidate] = BROKEN
                problem = error
                warn_once('broken', f'Another picture replaces a broken one: {error}')
                continue
            if sample is not None:
                self.marks.of_samples[candidate] = READ
                return sample
        raise PictureError(
            f'{self.max_refetch} pictures were drawn to replace a broken one, and all are broken. The last: {problem}'
        )

    def problem(self, idx: int) -> str:
        """Read a picture to find out what is wrong with it; '' if nothing is."""
        try:
            self.prepare_data(idx)
        except PictureError as error:
            return error.reason
        except FileNotFoundError:
            return 'there is no such file'
        return ''

    def _candidates(self, idx: int, epoch: int) -> Iterator[int]:
        yield idx
        rng = np.random.default_rng((epoch, idx))
        for _ in range(self.max_refetch):
            yield int(rng.integers(len(self)))


def replacing(dataset: Any) -> list[ReplaceBroken]:
    """The datasets that replace broken pictures, of a dataset or of one that is made of others."""
    if isinstance(dataset, ReplaceBroken):
        return [dataset] if dataset.marks is not None else []
    parts = [*getattr(dataset, 'datasets', ()), *filter(None, [getattr(dataset, 'dataset', None)])]
    return [found for part in parts for found in replacing(part)]


def list_broken(broken: Mapping[str, str], path: Path) -> None:
    """Write the paths of broken pictures and the reasons, one picture a line.

    Args:
        broken: What is wrong, by path.
        path: The file to write.
    """
    with atomic_write(path, single_writer=True) as part:
        part.write_text(''.join(f'{name}\t{reason}\n' for name, reason in sorted(broken.items())), encoding='utf-8')


def check_share(broken: int, total: int, share: float, path: Path, remedy: str) -> None:
    """Refuse a training on too few of its pictures.

    Args:
        broken: Number of broken pictures.
        total: Number of pictures.
        share: The largest share of broken ones.
        path: The file that lists them.
        remedy: How to allow a larger share.

    Raises:
        ValueError: The share is larger.
    """
    if broken > share * total:
        raise ValueError(
            f'{broken:,} of {total:,} pictures are broken, more than {100 * share:g} %; {path} lists them with the '
            f'reasons. Repair them or move them to another folder, or {remedy}.'
        )
