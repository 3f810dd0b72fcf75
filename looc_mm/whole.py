"""Whether a checkpoint is whole: its bytes are the written ones, and its weights are finite."""

import os
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from looc_mm.files import numbered_checkpoints

#: What zipfile raises for a damaged directory or header.
_DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, EOFError, ValueError, OSError)

_START = b'PK\x03\x04'  # of a zip
_FOLDER = 0x10  # the attribute that marks an entry of a zip as a folder


def check_whole(path: str | Path) -> None:
    """Compare the entries of a checkpoint with the CRC-32 checksums that its zip holds.

    ``torch.load`` does not: it returns other weights for a file with a flipped bit. A CRC-32 finds every flipped bit of
    an entry. Files that are no zip (``torch.save`` before PyTorch 1.6) have no checksums and pass.

    Args:
        path: A local file.

    Raises:
        OSError: The file cannot be opened.
        ValueError: An entry differs from its checksum, or the zip's directory is damaged.
    """
    path = Path(path).expanduser()
    damage = damage_of(path)
    if damage is None:
        return
    whole = newest_whole(path)
    found = f'; {whole} is the newest whole one beside it' if whole else ', if there is one'
    raise ValueError(
        f'{path} is damaged: {damage}. Its weights are not those of the training. Replace the file by a copy from '
        f'elsewhere, or use another checkpoint of the run{found}.'
    )


def newest_whole(damaged: Path) -> Path | None:
    """The checkpoint of the highest number beside a damaged one that is whole; None if there is none."""
    others = [each for each in numbered_checkpoints(damaged.parent) if each.resolve() != damaged.resolve()]
    return next((each for each in others if _begins_as_zip(each) and damage_of(each) is None), None)


def damage_of(path: Path) -> str | None:
    """What is wrong with a file of ``torch.save``; None if nothing is, or if the file is no zip.

    Raises:
        OSError: The file cannot be opened.
    """
    with path.open('rb') as file:
        try:
            if file.read(4) != _START and not zipfile.is_zipfile(file):
                return None
            with zipfile.ZipFile(file) as archive:
                entries = [each for each in archive.infolist() if not each.is_dir()]
                size = file.seek(0, os.SEEK_END)
                if sum(each.file_size for each in archive.infolist()) > size:
                    return 'its entries together are longer than the file'
                name = next((each.filename for each in entries if not _is_plain(each)), None) or archive.testzip()
        except _DAMAGE as error:
            return f'its directory of entries, at its end, is missing or damaged ({error})'
    return None if name is None else f'its entry {name!r} differs from the checksum or sizes in the file'


def _begins_as_zip(path: Path) -> bool:
    with path.open('rb') as file:
        return file.read(4) == _START


def _is_plain(entry: zipfile.ZipInfo) -> bool:
    """Whether an entry is stored as PyTorch stores it: not compressed, and not marked as a folder.

    PyTorch reads nothing for a folder, and leaves the weights as the memory was.
    """
    sizes = entry.compress_type == zipfile.ZIP_STORED and entry.compress_size == entry.file_size
    return sizes and not entry.external_attr & _FOLDER


def first_not_finite(weights: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor that holds NaN or an infinite number; None if there is none."""
    for name, value in weights.items():
        if isinstance(value, Tensor) and value.is_floating_point() and not torch.isfinite(value).all():
            return name
    return None


def check_finite(weights: Mapping[str, Tensor], path: str | Path) -> None:
    """Refuse weights of a training that has failed.

    Args:
        weights: Those of the file, by name.
        path: The file, for the message.

    Raises:
        ValueError: A weight is NaN or infinite.
    """
    if (name := first_not_finite(weights)) is not None:
        raise ValueError(
            f'{path} holds weights that are NaN or infinite, the first in {name}: its training had failed before it '
            f'was written. Use an earlier checkpoint of the run, or train again with a lower learning rate.'
        )
