"""A folder tree of corrupted pictures, in ImageNet-C's layout: <corruption>/<severity>/<the picture's path>."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import torch
from torchvision.transforms.v2 import functional

from looc_mm.datasets.folder_job import FolderJob, Report, check_apart, pictures_in, read, write

from .base import SEVERITIES, Corruption
from .weather import check_frost

SETTINGS = 'corrupt.json'  # what a tree was made with: going on with other settings would mix two


@dataclass(frozen=True)
class Settings:
    """What decides how the pictures look.

    Args:
        size: Side in pixels: the short side is resized to 256 / 224 of it, and the middle square taken; None keeps
            pictures as they are.
        seed: Of all random choices.
        quality: Of the JPEG files, 1 to 100.
        frost_dir: Folder of the published pictures of frost; None takes procedural ones.

    Raises:
        ValueError: If one is out of range, or a picture of frost is missing.
    """

    size: int | None = 224
    seed: int = 0
    quality: int = 85
    frost_dir: str | None = None

    def __post_init__(self) -> None:
        """Check the ranges, and the pictures of frost before hours of work."""
        if (self.size is not None and self.size < 1) or not 1 <= self.quality <= 100:
            raise ValueError(f'Got {self}; size >= 1 pixel, or None, and quality from 1 to 100 are allowed.')
        if self.frost_dir is not None:
            check_frost(self.frost_dir)

    def rng(self, picture: str, corruption: str, severity: int) -> np.random.Generator:
        """A generator that depends on the seed and what is to be made, and not on what was made before."""
        name = f'{self.seed}/{corruption}/{severity}/{picture}'
        return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest(), 'big'))

    def note(self) -> dict[str, object]:
        """What a folder of corrupted pictures says about them."""
        frost = 'procedural' if self.frost_dir is None else 'published'
        return {'size': self.size, 'seed': self.seed, 'quality': self.quality, 'frost': frost}


def corrupt_tree(
    source: Path,
    out: Path,
    corruptions: Sequence[Corruption],
    severities: Sequence[int] = SEVERITIES,
    settings: Settings | None = None,
    workers: int = 0,
) -> Report:
    """Write corrupted versions of every picture below a folder; go on where an interrupted run stopped.

    The pixels depend on the settings and on a picture's path below ``source``, and not on the workers, on the order,
    or on the other pictures. Files keep the name of a JPEG; pictures of other formats become ``.jpg``.

    Args:
        source: The pictures.
        out: Where ``source``'s tree is mirrored, once for each corruption and severity.
        corruptions: Which to make.
        severities: At which of 1 to 5.
        settings: How the pictures are to look.
        workers: Processes; 0 works in this one.

    Raises:
        FileNotFoundError: If ``source`` is not there or has no pictures.
        ValueError: If a severity is none, names would collide, or ``out`` is in ``source`` or was made with other
            settings.
    """
    settings = settings or Settings()
    if not set(severities) <= set(SEVERITIES):
        raise ValueError(f'Got severities {list(severities)}; 1 to 5 are allowed.')
    check_apart(source, out, 'corrupted')
    pictures = pictures_in(source)
    twice = [name for name, count in Counter(map(output_name, pictures)).items() if count > 1]
    if twice:
        raise ValueError(f'{source} has several pictures that would all become {twice[0]}; rename them.')
    job = FolderJob(out, SETTINGS, settings.note(), 'Corrupted')
    versions = [(each, severity) for each in corruptions for severity in severities]
    make = partial(_make_versions, source, out, versions, settings)
    return job.run(make, pictures, workers, len(pictures) * len(versions))


def _make_versions(
    source: Path, out: Path, versions: Sequence[tuple[Corruption, int]], settings: Settings, picture: str
) -> Report:
    """Make all versions of a picture that are missing."""
    targets = [(out / each.name / str(severity) / output_name(picture), each, severity) for each, severity in versions]
    missing = [target for target in targets if not target[0].exists()]
    if not missing:
        return Report(finished=len(versions), steps=len(versions))
    image = read(source / picture)
    if isinstance(image, str):
        return Report(steps=len(versions), broken={str(source / picture): image})
    image = prepare(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), settings.size)
    flags = (cv2.IMWRITE_JPEG_QUALITY, settings.quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1)
    options = {'frost': {'frost_dir': settings.frost_dir}}
    for path, each, severity in missing:
        rng = settings.rng(picture, each.name, severity)
        corrupted = each(image, severity, rng, **options.get(each.name, {}))
        write(path, cv2.cvtColor(corrupted, cv2.COLOR_RGB2BGR), flags)
    return Report(made=len(missing), finished=len(versions) - len(missing), steps=len(versions))


def prepare(image: np.ndarray, size: int | None) -> np.ndarray:
    """Resize the short side of (H, W, 3) uint8 to 256 / 224 of ``size`` and take the middle square, as ImageNet-C."""
    if size is None:
        return image
    resized = functional.resize(torch.from_numpy(image).permute(2, 0, 1), [round(size * 256 / 224)], antialias=True)
    return np.ascontiguousarray(functional.center_crop(resized, [size, size]).permute(1, 2, 0).numpy())


def output_name(picture: str) -> str:
    """Relative path of a corrupted picture: its own if it is a JPEG's, or else with the extension .jpg."""
    path = PurePosixPath(picture)
    return picture if path.suffix.lower() in ('.jpg', '.jpeg') else str(path.with_suffix('.jpg'))
