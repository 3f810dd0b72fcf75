"""Features on disk, found again by everything that they depend on."""

import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import ConcatDataset, Dataset

from looc_mm.files import whole

from .features import FeatureBank

#: What may change without changing features: momentum copies, queues, the counters of batch norm.
PASSED_OVER = ('key_', 'neck.queues', 'conditioner', 'predictor')


class FeatureCache:
    """A folder of feature banks, one file each, named by a digest of model, data, transform and extraction.

    Two runs may share it: a file appears at once and whole, and whoever comes second replaces it by the same.

    Args:
        folder: Where the files are; it is made when the first is written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def path(self, key: str) -> Path:
        """The file of a key."""
        return self.folder / f'{key}.pth'

    def read(self, key: str) -> FeatureBank | None:
        """The bank of a key; None if there is none or its file is broken."""
        try:
            saved = torch.load(self.path(key), weights_only=True)
            return FeatureBank(saved['parts'], saved['labels'])
        except (FileNotFoundError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError):
            return None

    def write(self, key: str, bank: FeatureBank) -> None:
        """Store a bank."""
        with whole(self.path(key)) as part:
            torch.save(vars(bank), part)


def cache_key(model: nn.Module, dataset: Dataset, **extraction: Any) -> str | None:
    """Digest of all that features depend on.

    Args:
        model: Its weights, its modules' settings and its preprocessor count.
        dataset: Its list of samples, its transforms, its simple attributes, and each image file's size and time count;
            of a concatenation each part's.
        **extraction: Settings of the extraction.

    Returns:
        Hexadecimal text; None if the dataset does not say what it holds.
    """
    parts = dataset.datasets if isinstance(dataset, ConcatDataset) else [dataset]
    samples = [_samples(each) for each in parts]
    if None in samples:
        return None
    digest = hashlib.sha256(repr((sorted(extraction.items()), repr(model), torch.__version__)).encode())
    tensors = {**model.state_dict(), **{f'buffer {name}': value for name, value in model.named_buffers()}}
    for name, value in sorted(tensors.items()):
        if not name.removeprefix('buffer ').startswith(PASSED_OVER):
            digest.update(f'{name} {value.dtype} {tuple(value.shape)}'.encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    for part, listed in zip(parts, samples, strict=True):
        digest.update(repr((type(part).__name__, _settings(part))).encode())
        for sample in listed or ():
            digest.update(repr(sorted(sample.items())).encode())
            if 'img_path' in sample:
                stat = os.stat(sample['img_path'])
                digest.update(f'{stat.st_size} {stat.st_mtime_ns}'.encode())
    return digest.hexdigest()[:32]


def _settings(dataset: Any) -> tuple[dict[str, Any], Any]:
    """Simple attributes and transforms."""
    settings = {
        name: sorted(map(repr, value)) if isinstance(value, tuple) else value  # made from a set, in any order
        for name, value in vars(dataset).items()
        if isinstance(value, str | int | float | tuple)
    }
    return settings, getattr(getattr(dataset, 'pipeline', None), 'transforms', None)


def _samples(dataset: Any) -> list[dict] | None:
    """What a dataset of MMEngine's kind would load, without loading it."""
    if not hasattr(dataset, 'load_data_list'):
        return None
    dataset.full_init()
    if not dataset.serialize_data:
        return dataset.data_list
    ends = dataset.data_address.tolist()
    starts = [0, *ends[:-1]]
    return [pickle.loads(memoryview(dataset.data_bytes[a:b])) for a, b in zip(starts, ends, strict=True)]  # noqa: S301
