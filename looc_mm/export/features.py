"""Taking the features away: of a checkpoint's network, for pictures, as arrays or a file.

Shapes
    N  images        B  of one batch        C  width of a representation        h, w  a view
"""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from looc_mm.checkpoint import load_model
from looc_mm.datasets.channels import Channels, bgr_order
from looc_mm.datasets.decoding import decode, extensions
from looc_mm.datasets.folder import ImageFolder
from looc_mm.datasets.list_file import is_list
from looc_mm.datasets.transforms import PackCanvas, ResizeShortEdge, one_thread
from looc_mm.evaluation.source import FeatureSource
from looc_mm.files import atomic_write
from looc_mm.models.representation import resolve_spaces
from looc_mm.multichannel import channels_of
from looc_mm.stack import CenterCrop

Images: TypeAlias = str | Path | Sequence[str | Path] | Tensor


def view_size(model: nn.Module) -> int:
    """The side of the square views that a model was trained on, as its view pipeline has it.

    Raises:
        ValueError: It has no such pipeline, or its views have no fixed size or are not square.
    """
    pipeline = getattr(model.data_preprocessor, 'pipeline', None)
    side: int | None = getattr(pipeline, 'view_side', None)
    if side is None:
        got = 'their size follows from the picture' if pipeline else 'no view pipeline in its data_preprocessor'
        raise ValueError(
            f'{type(model).__name__} does not have one size for all its views ({got}): give the side in pixels that it '
            f'was trained on (size, sizes, --size or --sizes).'
        )
    return side


class Pictures(Dataset):
    """Pictures as the evaluation configs read them: short side to 8/7 of the view's, and the middle square.

    Args:
        images: Paths, or (N, 3, H, W) uint8 RGB. A tensor whose H and W are the view's is taken as it is.
        size: Side of the view in pixels.
        channels: Of pictures that are not 8-bit RGB. Their tensors are (N, C, H, W), uint8, or float32 in [0, 1] after
            the window.

    Raises:
        ValueError: There is no image, the tensor is none of these or the size is not positive; later, naming the
            file, if a file cannot be decoded.
    """

    def __init__(self, images: Sequence[str | Path] | Tensor, size: int, channels: Channels | None = None) -> None:
        if size < 1:
            raise ValueError(f'Got a view size of {size} pixels; it is at least 1.')
        tensor = isinstance(images, Tensor)
        count, types = (3, [torch.uint8]) if channels is None else (channels.count, [torch.uint8, torch.float32])
        if isinstance(images, Tensor) and (images.ndim != 4 or images.shape[1] != count or images.dtype not in types):
            kind = 'RGB of torch.uint8' if channels is None else 'torch.uint8, or torch.float32 in [0, 1]'
            raise ValueError(
                f'Got images {tuple(images.shape)} of {images.dtype}; a tensor is (N, {count}, H, W), {kind}, '
                f'not normalised.'
            )
        if not len(images):
            raise ValueError('Got no images; give at least one.')
        self.images, self.channels = images, channels
        self.steps: list[Any] = [PackCanvas(())]
        if not (tensor and images.shape[2:] == (size, size)):  # type: ignore[union-attr]
            self.steps = [ResizeShortEdge(round(size * 8 / 7)), CenterCrop(size), *self.steps]

    def __len__(self) -> int:
        """N."""
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """``inputs`` (3, size, size) uint8 RGB, and the ``image_size`` of the original."""
        img = self._read(index)
        results: dict[str, Any] = {'img': img, 'ori_shape': img.shape[:2]}
        for step in self.steps:
            results = step(results)
        return results

    def _read(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 BGR, or (H, W, C)."""
        image = self.images[index]
        if isinstance(image, Tensor):
            return np.ascontiguousarray(image[bgr_order(len(image))].permute(1, 2, 0).cpu().numpy())
        return decode(str(image), self.channels)


def list_images(folder: str | Path, channels: Channels | None = None) -> list[str]:
    """Paths of all images below a folder, sorted, or of a list in its order; see :class:`looc_mm.datasets.ImageFolder`.

    Args:
        folder: The folder or list.
        channels: Of pictures that are not 8-bit RGB.

    Raises:
        FileNotFoundError: No such folder, or no image in it.
    """
    try:
        dataset = ImageFolder(str(folder), extensions=extensions(channels), lazy_init=True)
        return [sample['img_path'] for sample in dataset.load_data_list()]
    except FileNotFoundError as error:
        if is_list(folder):
            raise
        problem = 'holds no images' if Path(folder).is_dir() else 'is no folder'
        raise FileNotFoundError(
            f'{str(folder)!r} {problem}; give a folder of images, of any depth. Some files: a list of their paths.'
        ) from error


def picture_source(
    model: nn.Module,
    images: Images,
    size: int | None = None,
    batch_size: int = 64,
    device: torch.device | str | None = None,
    workers: int = 0,
    amp: bool = False,
    spaces: Sequence[str] | None = None,
) -> FeatureSource:
    """The frozen features of pictures: its split 'images'.

    Args:
        model: As :func:`load_model` gives it, or any of MMPreTrain's with a backbone.
        images: A folder of any depth, a file that lists pictures, paths, or (N, 3, H, W) uint8 RGB; see
            :class:`Pictures`.
        size: Side of the view in pixels; None for the size that the model was trained on.
        batch_size: B.
        device: Where the model is moved to and runs; None: where it is.
        workers: Processes that decode.
        amp: Whether the forward pass runs under autocast.
        spaces: As for :class:`looc_mm.evaluation.source.FeatureSource`.

    Returns:
        In the order of the list or tensor; a folder's is :func:`list_images`.

    Raises:
        FileNotFoundError: A file or folder is missing.
        ValueError: A space is unknown; as :class:`Pictures` and :func:`view_size`.
    """
    resolve_spaces(model, spaces)  # before files are looked at
    if isinstance(images, str | Path):
        images = list_images(images, channels_of(model))
    pictures = Pictures(images, view_size(model) if size is None else size, channels_of(model))
    if device is not None:
        model.to(device)
    # A batch is filled up to its size, which one picture need not pay for.
    loader = DataLoader(
        pictures, min(batch_size, len(pictures)), num_workers=workers, worker_init_fn=one_thread if workers else None
    )
    return FeatureSource(model, {'images': loader}, name='images', spaces=spaces, amp=amp)


def get_features(
    checkpoint_or_model: str | Path | nn.Module,
    images: Images,
    space: str | None = None,
    batch_size: int = 64,
    device: torch.device | str | None = None,
    size: int | None = None,
) -> Tensor:
    """The frozen features of pictures, the numbers that tools/test.py probes.

    Args:
        checkpoint_or_model: A file for :func:`load_model`, or what it gave.
        images: A folder of any depth, a file that lists pictures, paths, or (N, 3, H, W) uint8 RGB; see
            :class:`Pictures`.
        space: None for V, in LooC++ all spaces; else the name of a space, or several names joined by '+', which are
            concatenated in this order.
        batch_size: B.
        device: Where the model is moved to and runs. None: where it is; a checkpoint's on the GPU, if there is one.
        size: Side of the view in pixels; None for the size that the model was trained on.

    Returns:
        (N, C) float32, on the CPU, without gradients.

    Raises:
        FileNotFoundError: A file or folder is missing.
        ValueError: A space is unknown; as :func:`load_model` and :func:`picture_source`.
    """
    if isinstance(checkpoint_or_model, nn.Module):
        model = checkpoint_or_model
    else:
        model = load_model(checkpoint_or_model)
        device = device or default_device()
    spaces = None if space is None else [space]
    return picture_source(model, images, size, batch_size, device, spaces=spaces).features('images').x.cpu()


def default_device() -> str:
    """The GPU, if there is one."""
    return 'cuda' if torch.cuda.is_available() else 'cpu'


def check_table(out: str | Path) -> None:
    """Find out before the work whether :func:`write_features` can write a file.

    Raises:
        ValueError: Its name ends with neither .npz nor .parquet.
        ImportError: pyarrow is needed and not installed.
    """
    suffix = Path(out).suffix
    if suffix not in ('.npz', '.parquet'):
        raise ValueError(f'Features go to a file *.npz or *.parquet, got {str(out)!r}.')
    if suffix == '.parquet':
        need('pyarrow.parquet', 'pyarrow')


def write_features(out: str | Path, paths: Sequence[str], parts: Mapping[str, Tensor]) -> None:
    """Write features with the names of their pictures; the file appears at once and whole.

    Args:
        out: ``.npz``: the arrays ``path`` (N,) and one (N, C) float32 of each representation's name. ``.parquet``:
            columns of the same names, each cell a list of C float32.
        paths: N of them.
        parts: {name: (N, C)}.

    Raises:
        ValueError: As :func:`check_table`.
        ImportError: As :func:`check_table`.
    """
    check_table(out)
    arrays = {name: values.numpy() for name, values in parts.items()}
    with atomic_write(out) as part:
        if Path(out).suffix == '.npz':
            with part.open('wb') as file:
                np.savez(file, path=np.array(paths), **arrays)  # type: ignore[arg-type]
            return
        pyarrow, parquet = need('pyarrow', 'pyarrow'), need('pyarrow.parquet', 'pyarrow')
        columns = {
            name: pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(values.reshape(-1)), values.shape[1])
            for name, values in arrays.items()
        }
        parquet.write_table(pyarrow.table({'path': list(paths), **columns}), part)


def need(module: str, packages: str) -> Any:
    """Import what only some formats need.

    Raises:
        ImportError: With the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f'This format needs {module.split(".")[0]}: pip install {packages}') from error
