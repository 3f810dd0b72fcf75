"""What a protocol is, and what it may ask for."""

from collections.abc import Callable, Sequence
from typing import Any
from typing import Protocol as Interface

import numpy as np
from torch import Tensor

from .features import FeatureBank, Features


class Data(Interface):
    """Frozen features on demand, extracted once whoever asks."""

    model: Any
    #: Name for the record.
    dataset: str
    #: Where pictures go.
    folder: str
    #: The representation that was asked for: None for V, else spaces.
    spaces: list[str] | None

    def size(self, split: str) -> int:
        """Number of images of a split."""

    def sample(self, split: str, index: int) -> dict[str, Any]:
        """One sample: ``inputs`` (3, H, W) uint8 RGB and ``labels``."""

    def picture(self, split: str, index: int) -> np.ndarray:
        """One image, (H, W, 3) uint8 RGB, upright."""

    def bank(self, split: str, rotate: str | None = None, dataset: dict | None = None) -> FeatureBank:
        """Every representation of a split.

        Args:
            split: 'train' or 'test'.
            rotate: See :func:`looc_mm.evaluation.features.extract_bank`.
            dataset: Changes of the split's dataset config; with a ``type`` it stands in its place, pipeline aside.
        """

    def features(self, split: str, rotate: str | None = None, dataset: dict | None = None) -> Features:
        """The representation that was asked for, of a split."""

    def several(self, split: str, datasets: Sequence[dict]) -> list[Features]:
        """The representation of several datasets in a split's place, in one pass over all of them.

        Args:
            split: 'train' or 'test'.
            datasets: Each as ``dataset`` of :meth:`bank`.
        """

    def fresh(self, split: str, augment: Callable[[Tensor, Tensor], Tensor], dataset: dict | None = None) -> Features:
        """The representation of a split's images as ``augment`` changes them, extracted anew at each call.

        Args:
            split: 'train' or 'test'.
            augment: See :func:`looc_mm.evaluation.features.extract_bank`.
            dataset: As for :meth:`bank`.
        """


class FrozenProtocol:
    """A protocol on frozen features: :meth:`run` gives one dict per number.

    Attributes:
        name: Of the protocol in ``results.json``.
        rotate_train: How training images are turned before they are embedded.
        rotate_test: How test images are turned.
    """

    name: str
    rotate_train: str | None = None
    rotate_test: str | None = None

    def run(self, data: Data) -> list[dict[str, Any]]:
        """Fit and score; override it where more than the two splits is needed.

        Returns:
            One dict per number with ``metric``, ``value`` and ``ci``, and whatever else the record is to say.
        """
        return self.evaluate(data.features('train', self.rotate_train), data.features('test', self.rotate_test))

    def evaluate(self, train: Features, test: Features) -> list[dict[str, Any]]:
        """Fit on one split and score on the other."""
        raise NotImplementedError


def record(metric: str, value: float, ci: float | None = None, **more: Any) -> dict[str, Any]:
    """One number of a protocol."""
    return {'metric': metric, 'value': value, 'ci': ci, **more}


def accuracies(scores: Tensor, target: Tensor) -> dict[str, float]:
    """Top-1 and, with more than five classes, top-5 accuracy in percent.

    Args:
        scores: (N, K), the higher the more likely.
        target: (N,) int64 in [0, K).

    Returns:
        Metric name to value.
    """
    ks = (1, 5) if scores.shape[1] > 5 else (1,)
    ranked = scores.topk(max(ks), dim=1).indices  # N x 1 or 5, best first
    hits = ranked == target[:, None]
    return {f'top{k}': 100 * hits[:, :k].any(dim=1).double().mean().item() for k in ks}


def factor_of(label: str) -> dict[str, Any]:
    """What a record says of a label that is not the class of the image but a factor of it."""
    return {} if label == 'gt_label' else {'factor': label}


def require_label(features: Sequence[Features], label: str) -> None:
    """Refuse a label that a dataset does not have.

    Raises:
        ValueError: With those that it has.
    """
    for each in features:
        if label not in each.labels:
            raise ValueError(f'No label {label!r} in the dataset; it has {sorted(each.labels)}.')
