"""Folder trees that mirror another one: pictures made of pictures, by a run that may be interrupted."""

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from looc_mm.files import atomic_write

from .folder import ImageFolder
from .transforms import decode


def pictures_in(folder: Path) -> list[str]:
    """Paths of all pictures below a folder, relative to it and with slashes, sorted.

    Raises:
        FileNotFoundError: If the folder is not there or has no pictures.
    """
    samples = ImageFolder(str(folder), lazy_init=True).load_data_list()
    return sorted(Path(os.path.relpath(sample['img_path'], folder)).as_posix() for sample in samples)


def check_apart(source: Path, out: Path, done: str) -> None:
    """Refuse to write into the tree that is read.

    Raises:
        ValueError: If ``out`` lies in ``source``; ``done`` says what would be done to the pictures twice.
    """
    if out.resolve().is_relative_to(source.resolve()):
        raise ValueError(f'{out} lies in {source}, so that {done} pictures would be {done} again; choose another.')


def claim(out: Path, name: str, settings: dict[str, Any]) -> None:
    """Note in a folder, in a JSON file of this name, what its pictures are made with.

    Raises:
        ValueError: If they were made with other settings: going on would mix two.
    """
    note = out / name
    theirs = json.loads(note.read_text()) if note.exists() else settings
    if settings != theirs:
        changed = {key: (theirs.get(key), settings[key]) for key in settings if theirs.get(key) != settings[key]}
        raise ValueError(
            f'The pictures in {out} were made with other settings, (then, now): {changed}. Give the same, or '
            'another folder, or delete this one.'
        )
    with atomic_write(note, single_writer=True) as part:
        part.write_text(json.dumps(settings, indent=1))


def read(path: Path) -> np.ndarray | str:
    """A picture, (H, W, 3) uint8 BGR, or what is wrong with it."""
    try:
        image = decode(str(path))
    except (OSError, cv2.error) as error:
        return str(error)
    return 'cannot be decoded as an image' if image is None else image


def write(path: Path, image: np.ndarray, flags: tuple[int, ...] = ()) -> None:
    """Write (H, W, 3) uint8 BGR in the format of the path's ending; the file's name appears when it is whole."""
    with atomic_write(path, single_writer=True) as part:
        part.write_bytes(cv2.imencode(path.suffix, image, flags)[1].tobytes())
