"""A folder tree of stylised pictures: workers decode, the network's device computes, threads write."""

import hashlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from looc_mm.datasets.folder_job import FolderJob, Report, check_apart, pictures_in, read, write
from looc_mm.datasets.stylized import INFIX, RANDOM_WEIGHTS
from looc_mm.files import atomic_write

from .adain import Stylizer

SETTINGS = 'stylize.json'  # what a tree was made with: going on with other settings would mix two


@dataclass(frozen=True)
class Settings:
    """What decides how the pictures look.

    Args:
        weights: Names the network's weights; 'random' if it has none.
        styles_per_image: K.
        alpha: Share of the style, from 0 to 1.
        size: Short side of the output in pixels; of the paintings too, of which the middle square counts.
        seed: Of the draw of styles.

    Raises:
        ValueError: If one is out of range.
    """

    weights: str
    styles_per_image: int = 4
    alpha: float = 1.0
    size: int = 256
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges; reflection padding needs two pixels at an eighth of the size."""
        if self.styles_per_image < 1 or not 0 <= self.alpha <= 1 or self.size < 16:
            raise ValueError(f'Got {self}; styles_per_image >= 1, alpha in [0, 1] and size >= 16 pixels are allowed.')

    def draw(self, picture: str, total: int) -> list[int]:
        """Which of ``total`` styles a picture gets: K different ones, by the seed and its relative path alone."""
        return random.Random(f'{self.seed}/{picture}').sample(range(total), self.styles_per_image)


class Pictures(Dataset):
    """Decoded pictures with their short side resized, whole or the middle square.

    An item is (index, (3, H, W) uint8 RGB), or (index, what is wrong) if it cannot be read.
    """

    def __init__(self, paths: list[Path], size: int, square: bool = False) -> None:
        self.paths, self.size, self.square = paths, size, square

    def __len__(self) -> int:
        """Count the files."""
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[int, Tensor | str]:
        """Decode one."""
        img = read(self.paths[index])
        if isinstance(img, str):
            return index, img
        height, width = img.shape[:2]
        scale = self.size / min(height, width)
        filter_ = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        img = cv2.resize(img, (round(width * scale), round(height * scale)), interpolation=filter_)
        if self.square:
            top, left = ((side - self.size) // 2 for side in img.shape[:2])
            img = img[top : top + self.size, left : left + self.size]
        return index, torch.from_numpy(np.stack(cv2.split(img)[::-1]))

    def batches(self, batch_size: int, workers: int) -> Iterator[list[tuple[int, Tensor | str]]]:
        """Lists of items, in order whatever the workers."""
        return iter(DataLoader(self, batch_size, num_workers=workers, collate_fn=list))


def stylize_tree(
    stylizer: Stylizer,
    source: Path,
    paintings: Path,
    out: Path,
    settings: Settings,
    workers: int = 0,
    batch_size: int = 16,
) -> Report:
    """Write K stylised versions of every picture below a folder; go on where an interrupted run stopped.

    Each painting is read once: of a style its channel statistics are all that AdaIN takes.

    Args:
        stylizer: On the device to use.
        source: The pictures.
        paintings: The styles.
        out: Where ``source``'s tree is mirrored.
        settings: How the pictures are to look.
        workers: Processes that decode.
        batch_size: Stylised pictures to compute at a time; another one may round differently.

    Raises:
        FileNotFoundError: If a folder is not there or has no pictures.
        ValueError: If there are too few styles, names would collide, ``out`` is in ``source`` or was made with
            other settings, or a painting is broken.
    """
    check_apart(source, out, 'stylised')
    pictures, styles = pictures_in(source), pictures_in(paintings)
    if len(styles) < settings.styles_per_image:
        raise ValueError(f'{paintings} has {len(styles)} styles; {settings.styles_per_image} per image are asked for.')
    _check_stems(source, [str(PurePosixPath(each).with_suffix('')) for each in pictures])
    _check_stems(paintings, [PurePosixPath(each).stem for each in styles])
    names = {'styles': len(styles), 'style_names': digest(name.encode() for name in styles)}
    job = FolderJob(out, SETTINGS, {**asdict(settings), **names}, 'Stylised')
    if settings.weights == 'random':
        with atomic_write(out / RANDOM_WEIGHTS) as part:
            part.write_text(
                'These pictures were made by tools/stylize.py --random-weights: they are no stylisations, and good for '
                'nothing but trying the tools out.\n'
            )

    drawn = {each: settings.draw(each, len(styles)) for each in pictures}
    targets = {each: [out / output_name(each, styles[style]) for style in drawn[each]] for each in pictures}
    todo = [each for each in pictures if not all(path.exists() for path in targets[each])]
    finished = Report(finished=len(pictures) - len(todo))
    if not todo:
        return finished
    used = sorted({style for each in todo for style in drawn[each]})
    data = Pictures([paintings / styles[style] for style in used], settings.size, square=True)
    table = _style_table(stylizer, data.batches(batch_size, workers), data.paths)  # N x 2 x C
    row = {style: index for index, style in enumerate(used)}

    def reports() -> Iterator[Report]:
        yield finished
        data = Pictures([source / each for each in todo], settings.size)
        writing: list[Future] = []
        with ThreadPoolExecutor(1 + workers) as pool:
            for items in data.batches(max(1, batch_size // settings.styles_per_image), workers):
                broken = {str(data.paths[index]): each for index, each in items if isinstance(each, str)}
                made: list[tuple[Path, np.ndarray]] = []
                for indices, content in _by_size(items):
                    rows = torch.tensor([[row[style] for style in drawn[todo[index]]] for index in indices])
                    versions = _render(stylizer, content, table[rows.to(table.device)], settings.alpha)
                    for index, each in zip(indices, versions, strict=True):
                        made += zip(targets[todo[index]], each, strict=True)
                for future in writing:  # of the batch before, so that two are in memory at most; raises its error
                    future.result()
                writing = [pool.submit(write, path, picture) for path, picture in made]
                yield Report(made=len(items) - len(broken), steps=len(items), broken=broken)
            for future in writing:
                future.result()

    return job.collect(reports(), len(todo))


def _by_size(items: list[tuple[int, Tensor | str]]) -> Iterator[tuple[list[int], Tensor]]:
    """Stack the pictures of one size: indices and (B, 3, H, W)."""
    groups = defaultdict(list)
    for index, picture in items:
        if isinstance(picture, Tensor):
            groups[picture.shape].append((index, picture))
    for group in groups.values():
        yield [index for index, _ in group], torch.stack([picture for _, picture in group])


@torch.inference_mode()
def _render(stylizer: Stylizer, content: Tensor, styles: Tensor, alpha: float) -> np.ndarray:
    """(B, K, H, W, 3) uint8 BGR of (B, 3, H, W) uint8 RGB and (B, K, 2, C)."""
    out = stylizer(content.to(styles.device).float() / 255, styles, alpha)
    return (out * 255).round().byte().flip(2).permute(0, 1, 3, 4, 2).cpu().numpy()


@torch.inference_mode()
def _style_table(stylizer: Stylizer, batches: Iterable[list[tuple[int, Tensor | str]]], paths: list[Path]) -> Tensor:
    """(N, 2, C) of N paintings; raises ValueError if any is broken."""
    device, found, broken = next(stylizer.parameters()).device, [], []
    with tqdm(total=len(paths), desc='Paintings', unit='img') as bar:
        for items in batches:
            broken += [f'{paths[index]} ({problem})' for index, problem in items if isinstance(problem, str)]
            found += [stylizer.style(content.to(device).float() / 255) for _, content in _by_size(items)]
            bar.update(len(items))
    if broken:
        raise ValueError(
            f'{len(broken)} paintings are broken: {", ".join(broken)}. Move them to another folder and write to '
            'a new output folder, because the draws depend on the list of paintings.'
        )
    return torch.cat(found)


def output_name(picture: str, style: str) -> str:
    """Relative path of a stylised picture, ``<stem>-stylized-<style stem>`` with .png from .png and else .jpg."""
    path = PurePosixPath(picture)
    extension = '.png' if path.suffix.lower() == '.png' else '.jpg'
    return str(path.with_name(f'{path.stem}{INFIX}{PurePosixPath(style).stem}{extension}'))


def digest(chunks: Iterable[bytes]) -> str:
    """A short name of some pieces of bytes."""
    sha = hashlib.sha256()
    for chunk in chunks:
        sha.update(chunk + b'\0')
    return sha.hexdigest()[:16]


def _check_stems(folder: Path, stems: list[str]) -> None:
    """Refuse pictures that differ in their extension alone, and paintings that have one file name."""
    twice = [stem for stem, count in Counter(stems).items() if count > 1]
    if twice:
        raise ValueError(
            f'{folder} has {len(twice)} names more than once, such as {twice[0]!r}: pictures are told apart by their '
            'path without extension, and paintings by the file name alone. Rename one of each.'
        )
