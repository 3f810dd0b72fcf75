"""One pass of a frozen model over a dataset.

Shapes: N samples of the dataset, B of one batch, A angles for each image (1, or 4 when all are asked for), C feature
width.
"""

from collections import defaultdict
from collections.abc import Callable

import torch
from mmengine.dist import all_gather, is_main_process
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from looc_mm.models.representation import frozen, preprocess, representations

from .features import FeatureSet

#: Part of the cache's key. Raise it whenever a change of this file, or of what it calls, changes features.
VERSION = 2


def extract(
    model: nn.Module,
    dataloader: DataLoader,
    rotate: str | None = None,
    seed: int = 0,
    amp: bool = False,
    augment: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> FeatureSet:
    """Run the frozen model over a dataset once; every process does its share and gets the whole result.

    The result does not depend on the number of processes, bit by bit, and not on the batch size but for rounding.

    Args:
        model: Has ``data_preprocessor(batch, False)`` and what :func:`representations` reads: any model of MMPreTrain.
        dataloader: Gives ``inputs`` and ``labels``; in the dataset's order (`DefaultSampler` with ``shuffle=False``).
        rotate: None; 'random' for one of 0, 90, 180, 270 degrees per image; 'all' for the four of them. With either,
            images must be square and the label ``rotation`` counts the counter-clockwise quarter turns.
        seed: Of the random angles, which belong to the samples.
        amp: Whether the forward pass runs under autocast.
        augment: Changes the canvases, (B, C, H, W) uint8 or float on the model's device, before the model sees them. It
            also gets the sizes of the original images, (B, 2).

    Returns:
        V and every space, on the CPU.

    Raises:
        ValueError: ``rotate`` is none of the three, or the dataloader skips or reorders samples.
    """
    n = len(dataloader.dataset)  # type: ignore[arg-type]
    angles = _angles(n, rotate, seed)  # (N, A)
    full = torch.arange(dataloader.batch_size)  # type: ignore[arg-type]

    rows: list[Tensor] = []
    parts: dict[str, list[Tensor]] = defaultdict(list)
    labels: dict[str, list[Tensor]] = defaultdict(list)
    batches = zip(dataloader.batch_sampler, dataloader, strict=True)  # type: ignore[arg-type]
    progress = tqdm(
        batches, 'features', total=len(dataloader), leave=False, disable=None if is_main_process() else True
    )
    with frozen(model):
        for indices, batch in progress:
            rows.append(torch.tensor(indices))
            # A smaller last batch picks other kernels, which round differently: fill it up with its last image.
            fill = full.clamp(max=len(indices) - 1)
            if augment is not None:
                canvas = batch['inputs'].to(next(model.parameters()).device, non_blocking=True)
                batch['inputs'] = augment(canvas, batch['image_size'])
            images = preprocess(model, batch)[fill]  # (B, 3, h, w)
            with torch.autocast(images.device.type, torch.bfloat16, enabled=amp):
                turned = [_turn(images, turns) for turns in angles[rows[-1][fill]].unbind(1)]
                views = [representations(model, each) for each in turned]
            for name in views[0]:
                stacked = torch.stack([view[name] for view in views], 1)  # (B, A, C)
                parts[name].append(stacked[: len(indices)].float().cpu())
            for key, label in batch.get('labels', {}).items():
                labels[key].append(label.cpu())

    def in_order(batches: list[Tensor]) -> Tensor:
        """Undo the sampler's dealing: rank r of W had samples r, r + W, ..., and the last round is padded."""
        return torch.stack(all_gather(torch.cat(batches)), dim=1).flatten(0, 1)[:n]

    if not torch.equal(in_order(rows), torch.arange(n)):
        raise ValueError(
            f'The dataloader does not give the {n} samples of its dataset in order; '
            "use sampler=dict(type='DefaultSampler', shuffle=False) and drop_last=False."
        )
    in_order_labels = {key: in_order(parts).repeat_interleave(angles.shape[1]) for key, parts in labels.items()}
    if rotate is not None:
        in_order_labels['rotation'] = angles.flatten()
    return FeatureSet({name: in_order(values).flatten(0, 1) for name, values in parts.items()}, in_order_labels)


def _angles(n: int, rotate: str | None, seed: int) -> Tensor:
    """Quarter turns of every view of every sample, (N, A)."""
    if rotate is None:
        return torch.zeros(n, 1, dtype=torch.int64)
    if rotate == 'random':
        return torch.randint(4, (n, 1), generator=torch.Generator().manual_seed(seed))
    if rotate == 'all':
        return torch.arange(4).expand(n, 4)
    raise ValueError(f"rotate is None, 'random' or 'all', got {rotate!r}.")


def _turn(images: Tensor, turns: Tensor) -> Tensor:
    """Turn every image of (B, 3, h, w) by its own number of quarter turns, (B,)."""
    return torch.stack([torch.rot90(image, int(k), (-2, -1)) for image, k in zip(images, turns, strict=True)])
