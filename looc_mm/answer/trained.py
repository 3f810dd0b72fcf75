"""A trained network, and everything that its features are compared with."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from looc_mm.checkpoint import build_model, find_checkpoint, load_weights, random_weights, read_checkpoint
from looc_mm.evaluation import Features, FeatureSource
from looc_mm.export.features import default_device, view_size
from looc_mm.multichannel import channels_of

from .baselines import describe
from .combine import combinations
from .labelled import Split, labelled_source

#: Sizes that are tried, as multiples of the side of the training's views.
MULTIPLES = (1.0, 1.5, 2.0)


class Trained:
    """The network of a checkpoint.

    Args:
        run: A work dir, whose last checkpoint is taken, or a checkpoint.
        batch_size: Pictures at a time.
        workers: Processes, and threads of the baselines, that decode.
        device: Where the network runs; by default the GPU, if there is one.
        amp: Whether features are extracted under autocast.
        trust_checkpoint: Whether the checkpoint may run code on loading.

    Raises:
        FileNotFoundError: The run is missing.
        ValueError: The checkpoint does not fit.
    """

    def __init__(
        self,
        run: str | Path,
        batch_size: int = 64,
        workers: int = 0,
        device: str | None = None,
        amp: bool = False,
        trust_checkpoint: bool = False,
    ) -> None:
        self.path = find_checkpoint(run)
        self.checkpoint = read_checkpoint(self.path, trust_checkpoint)
        self.model = build_model(self.checkpoint)
        load_weights(self.model, self.checkpoint)
        self.batch_size, self.workers, self.amp = batch_size, workers, amp
        self.device = device or default_device()

    def sizes(self, asked: Sequence[int] = ()) -> list[int]:
        """Sides of the views in pixels to choose from: the given ones, or 1, 1.5 and 2 times the training's."""
        side = 0 if asked else view_size(self.model)
        return sorted({*asked} or {round(side * multiple) for multiple in MULTIPLES})

    def source(
        self, splits: Mapping[str, Split], size: int, name: str, network: nn.Module | None = None
    ) -> FeatureSource:
        """The frozen features of labelled pictures, by the network or another one."""
        return labelled_source(
            network or self.model,
            splits,
            size,
            name,
            self.batch_size,
            self.workers,
            self.device,
            self.amp,
            self.checkpoint.states,
        )

    def baselines(self, splits: Mapping[str, Split]) -> dict[str, dict[str, Tensor]]:
        """Colour histogram and HOG, by split."""
        channels = channels_of(self.model)
        return {
            split: describe(each.paths, self.device, self.batch_size, self.workers, channels)
            for split, each in splits.items()
        }

    def features(
        self,
        source: FeatureSource,
        splits: Mapping[str, Split],
        size: int,
        fixed: Mapping[str, Mapping[str, Tensor]],
        seed: int,
    ) -> dict[str, tuple[Features, Features]]:
        """Every representation that is compared: (training features, test features).

        Args:
            source: Of the network.
            splits: 'train' and 'test'.
            size: Side of the views in pixels.
            fixed: Of :meth:`baselines`.
            seed: Of the random weights.
        """
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            untrained = self.source(splits, size, source.name, random_weights(build_model(self.checkpoint)))
        found = {split: source.feature_set(split) for split in splits}
        random = {split: untrained.features(split) for split in splits}
        return dict(combinations(found['train'].spaces, found, random, fixed))
