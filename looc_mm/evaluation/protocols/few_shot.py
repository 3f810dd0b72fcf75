"""Few-shot classification on all classes (paper section 4, Flowers-102): a linear layer from a handful of images."""

import math
import warnings
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from looc_mm.evaluation.features import Features
from looc_mm.evaluation.source import FeatureSource
from looc_mm.registry import PROTOCOLS

from .base import Protocol, Score


@PROTOCOLS.register_module()
class FewShotProbe(Protocol):
    """The mean accuracy over trials, each with other training images (appendix D).

    Where every class has as many training images as there are shots, every draw holds all of them: Flowers-102's
    training split has ten images of each class, so its ten 10-shot draws are equal. The interval then covers the
    initial weights alone and is close to 0. A warning says so. The paper gives 10-shot intervals and does not say from
    which images it draws. ``split='trainval'`` of :class:`Flowers102` has twenty of each class.

    Args:
        label: Which of the dataset's labels to predict; None for each of them in turn.
        shots: Training images of a class; there is a score for each entry.
        trials: Draws of the training images.
        lr: Learning rate of Adam, on the whole draw at each step.
        iterations: Steps.
        seed: Of the draws and the initial weights.

    Raises:
        ValueError: If there are less than two trials, from which no interval follows.
    """

    name = 'few_shot'

    def __init__(
        self,
        label: str | None = None,
        shots: Sequence[int] = (5, 10),
        trials: int = 10,
        lr: float = 0.03,
        iterations: int = 250,
        seed: int = 0,
    ) -> None:
        if trials < 2 or not shots or min(shots) < 1:
            raise ValueError(f'FewShotProbe got trials={trials}, shots={shots}; at least 2 trials of at least 1 shot.')
        super().__init__(label, seed)
        self.shots = tuple(shots)
        self.trials = trials
        self.lr = lr
        self.iterations = iterations

    def unsuitable(self, source: FeatureSource) -> str | None:
        """Every class must have as many training images as there are shots."""
        train = source.features('train')
        for label in self.labels(train):
            counts = train.labels[label].bincount()
            if (fewest := int(counts[counts > 0].min())) < max(self.shots):
                return f'a class of {label} has {fewest} training images, and {max(self.shots)} shots were asked for'
        return None

    def evaluate(self, train: Features, test: Features, label: str) -> Iterator[Score]:
        """Mean top-1 and half of its 95 % confidence interval, 1.96 s / sqrt(trials).

        Raises:
            ValueError: If a class has fewer training images than shots.
        """
        counts = train.labels[label].bincount()
        for shots in self.shots:
            if (counts[counts > 0] == shots).all():
                warnings.warn(
                    f'few_shot: each class has {shots} training images, so that all {self.trials} draws of {shots} '
                    'shots are equal. The interval does not cover the choice of images. For a choice, give more '
                    'training images: --cfg-options test_cfg.train_dataloader.dataset.split=trainval for Flowers-102.',
                    stacklevel=2,
                )
            scores = torch.tensor([self.trial(train, test, label, shots, trial) for trial in range(self.trials)])
            half = 1.96 * scores.double().std().item() / math.sqrt(self.trials)
            yield Score(f'top1/{shots}-shot', scores.double().mean().item(), half)

    def trial(self, train: Features, test: Features, label: str, shots: int, trial: int) -> float:
        """Top-1 in percent of one draw."""
        generator = torch.Generator().manual_seed(((self.seed << 20) + shots << 20) + trial)
        labels = train.labels[label]
        rows = draw(labels, shots, generator).to(labels.device)
        x, y = train.x[rows], labels[rows]
        weight = 0.01 * torch.randn(int(labels.max()) + 1, x.shape[1], generator=generator)
        weight = weight.to(x).requires_grad_()
        bias = x.new_zeros(len(weight), requires_grad=True)
        optimizer = torch.optim.Adam([weight, bias], lr=self.lr)
        for _ in range(self.iterations):
            optimizer.zero_grad()
            F.cross_entropy(F.linear(x, weight, bias), y).backward()
            optimizer.step()
        hits = F.linear(test.x, weight, bias).argmax(1) == test.labels[label]
        return 100 * hits.double().mean().item()


def draw(labels: Tensor, shots: int, generator: torch.Generator) -> Tensor:
    """Rows of ``shots`` random samples of every class, (K * shots,).

    Raises:
        ValueError: If a class has fewer.
    """
    chosen = []
    for number in labels.cpu().unique().tolist():
        rows = (labels.cpu() == number).nonzero()[:, 0]
        if len(rows) < shots:
            raise ValueError(f'{shots} shots were asked for, and class {number} has {len(rows)} training images.')
        chosen.append(rows[torch.randperm(len(rows), generator=generator)[:shots]])
    return torch.cat(chosen)
