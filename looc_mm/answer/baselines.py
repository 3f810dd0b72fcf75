"""What a picture shows without any network: its colours and the directions of its edges.

Shapes: N pictures, B of one batch.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from looc_mm.datasets.channels import Channels
from looc_mm.export.features import Pictures
from looc_mm.stack import HOGGenerator
from looc_mm.views import to_rgb

HISTOGRAM, HOG = 'colour histogram', 'HOG'
BOTH = f'{HISTOGRAM} + {HOG}'
#: Side in pixels of the crops; 14 cells of 8 pixels is the least that HOGGenerator takes.
SIDE = 112
#: Bins of hue, saturation and value.
BINS = (16, 4, 4)


def describe(
    paths: Sequence[str],
    device: torch.device | str = 'cpu',
    batch_size: int = 64,
    threads: int = 1,
    channels: Channels | None = None,
) -> dict[str, Tensor]:
    """The colour histogram and HOG of pictures, on the crop that the network sees, at 112 pixels.

    Args:
        paths: N files.
        device: Where HOG is computed.
        batch_size: B.
        threads: That decode.
        channels: Of pictures that are not 8-bit RGB. The first three are described, or the first one as grey.

    Returns:
        :data:`HISTOGRAM` to (N, 256) and :data:`HOG` to (N, 1323) float32, on the CPU.

    Raises:
        ValueError: A picture cannot be decoded; the message names it.
    """
    pictures = Pictures(paths, SIDE, channels)
    histograms, edges = [], []
    with (
        ThreadPoolExecutor(max(1, threads)) as pool,
        tqdm(total=len(paths), desc='colours and edges', leave=False) as progress,
    ):
        for rows in torch.arange(len(paths)).split(batch_size):
            samples = pool.map(pictures.__getitem__, rows.tolist())
            images = torch.stack([(255 * to_rgb(each['inputs'])).round().byte() for each in samples])
            histograms += [colour_histogram(image.permute(1, 2, 0).numpy()) for image in images]
            edges.append(hog(images.to(device).float() / 255).cpu())
            progress.update(len(rows))
    return {HISTOGRAM: torch.from_numpy(np.stack(histograms)), HOG: torch.cat(edges)}


def colour_histogram(image: np.ndarray) -> np.ndarray:
    """Square roots of the shares of 16 x 4 x 4 bins of hue, saturation and value.

    With the square roots, a linear classifier and the cosine compare histograms by their Hellinger distance.

    Args:
        image: (H, W, 3) uint8 RGB.

    Returns:
        (256,) float32 of length 1; the value varies fastest.
    """
    hsv = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2HSV_FULL)
    counts = cv2.calcHist([hsv], [0, 1, 2], None, list(BINS), [0, 256] * 3)
    return np.sqrt(counts.reshape(-1) / counts.sum())


def hog(images: Tensor) -> Tensor:
    """Histograms of oriented gradients, as MMPreTrain computes them for MaskFeat.

    9 signed directions in cells of 8 pixels, for each colour channel, each histogram of length 1. Neighbours of
    2 x 2 cells are averaged.

    Args:
        images: (B, 3, 112, 112) float in [0, 1].

    Returns:
        (B, 3 * 9 * 7 * 7).
    """
    generator = HOGGenerator(nbins=9, pool=8, gaussian_window=0).to(images.device)
    generator(images)
    cells = generator.out.flatten(1, 2)  # (B, 27, 14, 14)
    return F.avg_pool2d(cells, 2).flatten(1)
