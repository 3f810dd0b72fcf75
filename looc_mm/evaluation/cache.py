"""Features on disk, found again by everything that they depend on."""

import hashlib
import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, is_main_process
from mmengine.logging import print_log
from torch import nn
from torch.utils.data import ConcatDataset, Dataset

from looc_mm.datasets.listing import listed_samples
from looc_mm.files import atomic_write
from looc_mm.models.representation import representation_state
from looc_mm.whole import damage_of

from .extract import VERSION
from .features import FeatureSet
from .unwritable import warn_unwritable


class FeatureCache:
    """A folder of feature sets, one file each, named by a digest of model, data, transform and extraction.

    Two runs may share it: a file appears at once and whole, and whoever comes second replaces it by the same. A damaged
    file is found by its checksums and written again. A folder that cannot be written costs time and a warning only.

    Args:
        folder: Where the files are; it is made when the first is written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def path(self, key: str) -> Path:
        """The file of a key."""
        return self.folder / f'{key}.pth'

    def get(self, key: str, make: Callable[[], FeatureSet]) -> FeatureSet:
        """The features of a key, read by every process, or made by every process and written by the main one.

        Args:
            key: What :func:`cache_key` gives.
            make: Makes the features; it may talk to the other processes.
        """
        found = self.read(key)
        everywhere = torch.tensor(int(found is not None))  # hosts that share no folder find different things
        all_reduce(everywhere, 'min')
        if found is not None and everywhere:
            return found
        made = make()
        if is_main_process():
            with warn_unwritable(f'The cache {self.folder}'), atomic_write(self.path(key)) as part:
                torch.save(vars(made), part)
        return made

    def read(self, key: str) -> FeatureSet | None:
        """The features of a key; None if there are none, or with a warning if their file is damaged."""
        path = self.path(key)
        try:
            problem = damage_of(path)
            if problem is None:
                saved = torch.load(path, weights_only=True)
                return FeatureSet(saved['parts'], saved['labels'])
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, RuntimeError, EOFError, LookupError, TypeError, pickle.UnpicklingError) as error:
            problem = str(error)
        print_log(
            f'The features in {path} are damaged or cannot be read and are extracted again: {problem}.',
            logger='current',
            level=logging.WARNING,
        )
        return None


def cache_key(model: nn.Module, dataset: Dataset, **extraction: Any) -> str | None:
    """Digest of all that features depend on, the version of the extraction included.

    Args:
        model: The weights that its representations depend on and its modules' settings count.
        dataset: Its list of samples, its transforms, its simple attributes, and each image file's size and time count;
            of a concatenation each part's.
        **extraction: Settings of the extraction.

    Returns:
        Hexadecimal text; None if the dataset does not say what it holds.
    """
    parts = dataset.datasets if isinstance(dataset, ConcatDataset) else [dataset]
    samples = [listed_samples(each) for each in parts]
    if None in samples:
        return None
    settings = (VERSION, sorted(extraction.items()), repr(model), torch.__version__)
    digest = hashlib.sha256(repr(settings).encode())
    digest.update(weights_hash(model).encode())
    for part, listed in zip(parts, samples, strict=True):
        digest.update(repr((type(part).__name__, _settings(part))).encode())
        for sample in listed or ():
            digest.update(repr(sorted(sample.items())).encode())
            if 'img_path' in sample:
                stat = os.stat(sample['img_path'])
                digest.update(f'{stat.st_size} {stat.st_mtime_ns}'.encode())
    return digest.hexdigest()[:32]


def weights_hash(model: nn.Module) -> str:
    """Hash of the weights that the model's representations depend on."""
    digest = hashlib.sha256()
    for name, value in sorted(representation_state(model).items()):
        digest.update(f'{name} {value.dtype} {tuple(value.shape)}'.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def data_hash(dataset: Dataset) -> str:
    """Hash of the pictures that a dataset lists, by the name of the file and its folder, and their labels.

    It does not depend on where the pictures are. Of a dataset without files it is that of its
    fingerprint, or else of its simple attributes.
    """
    parts: list[Any] = dataset.datasets if isinstance(dataset, ConcatDataset) else [dataset]
    digest = hashlib.sha256()
    for part in parts:
        samples = listed_samples(part) or []
        if not samples or 'img_path' not in samples[0]:
            identity = getattr(part, 'fingerprint', '') or _settings(part)[0]
            digest.update(repr((type(part).__name__, len(part), identity)).encode())
        for sample in samples:
            named = {**sample, 'img_path': Path(sample['img_path']).parts[-2:]} if 'img_path' in sample else sample
            digest.update(repr(sorted(named.items())).encode())
    return digest.hexdigest()[:16]


def _settings(dataset: Any) -> tuple[dict[str, Any], Any]:
    """Simple attributes and transforms."""
    settings = {
        name: sorted(map(repr, value)) if isinstance(value, tuple) else value  # made from a set, in any order
        for name, value in vars(dataset).items()
        if isinstance(value, str | int | float | tuple)
    }
    return settings, getattr(getattr(dataset, 'pipeline', None), 'transforms', None)
