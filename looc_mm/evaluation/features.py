"""Frozen features of a whole dataset, in the dataset's order.

Shapes: N samples of the dataset, B of one batch, A angles per image (1, or 4 when all are asked for), C feature width.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from mmengine.dist import all_gather, is_main_process
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from looc_mm.models.representation import all_representations, check_spaces, choose, frozen, preprocess


@dataclass
class Features:
    """Features and what they can be probed for.

    Attributes:
        x: Features, (N * A, C) float32; the A angles of one image are neighbours.
        labels: Label name to (N * A,) int64.
    """

    x: Tensor
    labels: dict[str, Tensor]


@dataclass
class FeatureBank:
    """What one pass over a dataset gives: every representation of the model, to choose from.

    Attributes:
        parts: 'V' and every space to (N * A, C) float32; LooC++ has spaces alone.
        labels: Label name to (N * A,) int64.
    """

    parts: dict[str, Tensor]
    labels: dict[str, Tensor]

    @property
    def spaces(self) -> list[str]:
        """Names of the spaces, in order."""
        return [name for name in self.parts if name != 'V']

    def to(self, device: torch.device | str) -> 'FeatureBank':
        """Copy to a device."""
        moved = ({name: value.to(device) for name, value in each.items()} for each in (self.parts, self.labels))
        return FeatureBank(*moved)

    def choose(self, spaces: Sequence[str] | None = None) -> Features:
        """V, or in LooC++ all spaces, or the given spaces, concatenated.

        Raises:
            ValueError: If a space is unknown.
        """
        if spaces is not None:
            check_spaces(spaces, self.spaces)
        return Features(choose(self.parts, spaces), self.labels)


def extract_features(
    model: nn.Module,
    dataloader: DataLoader,
    spaces: Sequence[str] | None = None,
    rotate: str | None = None,
    seed: int = 0,
    amp: bool = False,
) -> Features:
    """One representation of a whole dataset: :func:`extract_bank`, and the choice of ``spaces`` from it."""
    return extract_bank(model, dataloader, rotate, seed, amp).choose(spaces)


def extract_bank(
    model: nn.Module,
    dataloader: DataLoader,
    rotate: str | None = None,
    seed: int = 0,
    amp: bool = False,
    augment: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> FeatureBank:
    """Run the frozen model over a dataset once; every process does its share and gets the whole result.

    The result does not depend on the number of processes, bit by bit, and not on the batch size but for rounding.

    Args:
        model: Has ``data_preprocessor(batch, False)`` and what :func:`representation` reads: any model of MMPreTrain.
        dataloader: Gives ``inputs`` and ``labels``; in the dataset's order (`DefaultSampler` with ``shuffle=False``).
        rotate: None; 'random' for one of 0, 90, 180, 270 degrees per image; 'all' for the four of them. With either,
            images must be square and the label ``rotation`` counts the counter-clockwise quarter turns.
        seed: Of the random angles, which belong to the samples.
        amp: Whether the forward pass runs under autocast.
        augment: What to make of the canvases, (B, 3, H, W) uint8 on the model's device, and the sizes of the original
            images, (B, 2), before the model sees them.

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
                views = [all_representations(model, each) for each in turned]
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
    return FeatureBank({name: in_order(values).flatten(0, 1) for name, values in parts.items()}, in_order_labels)


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
