"""Which blocks to take and with which scales, by cross-validation inside the training pictures.

A block is one representation, V or a space. Its channels are standardised and multiplied by one scale. Logistic
regression has one penalty for all weights, so that a larger scale means a smaller penalty for the block. A scale of 1
for V alone is the linear classifier of ``looc test``.

Shapes
    N  training pictures        C  width of a block        K  classes
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from looc_mm.evaluation import LinearClassifier
from looc_mm.models.representation import select

FOLDS = 5
#: Steps of the square root of 10: the penalty changes by a factor of 10. 0 leaves the block out.
SCALES = (0.1, 0.32, 1.0, 3.2)
#: The choice uses this many training pictures at most; the final fit uses all.
MOST = 600
#: Of the classifiers that are compared; a lower one changes no choice and takes twice the time.
TOLERANCE = 1e-4

Scales = dict[str, float]


@dataclass(frozen=True)
class Step:
    """One combination on the way, by cross-validation inside the training pictures.

    Attributes:
        scales: Block to scale.
        loss: Mean cross-entropy of the pictures that were held out.
        top1: Their top-1 in percent.
    """

    scales: Scales
    loss: float
    top1: float


@dataclass(frozen=True)
class Choice:
    """The result of :func:`choose`: the steps from V with the best scale, the first, to the chosen one, the last."""

    steps: tuple[Step, ...]

    @property
    def v(self) -> Scales:
        """V alone."""
        return self.steps[0].scales

    @property
    def best(self) -> Scales:
        """The chosen combination."""
        return self.steps[-1].scales


def choose(parts: Mapping[str, Tensor], y: Tensor, groups: Tensor, classes: Sequence[str], seed: int = 0) -> Choice:
    """Begin with V, change one scale at a time to the best one, and stop where the gain may be chance.

    The first step is V with the best of :data:`SCALES`. Each further step tries every block with every other scale, 0
    included, and takes the change with the least loss. A change counts only if the mean of the paired differences of
    the losses of held-out pictures is more than their standard error. So a block that adds nothing is left out.

    Args:
        parts: Block to (N, C).
        y: (N,) int64 in [0, K).
        groups: (N,) int64; pictures of one group are in one fold.
        classes: K names, for messages.
        seed: Of the folds, and of the pictures where there are more than :data:`MOST`.

    Raises:
        ValueError: As :func:`folds`.
    """
    rows = few(y, MOST, seed)
    parts = {name: x[rows] for name, x in parts.items()}
    y, fold = y[rows], folds(y[rows], groups[rows], classes, seed)
    tried: dict[tuple[float, ...], tuple[Tensor, float]] = {}

    def losses(scales: Scales) -> Tensor:
        key = tuple(scales.get(name, 0.0) for name in parts)
        if key not in tried:
            tried[key] = held_out_losses(parts, y, fold, len(classes), scales)
            progress.update()
        return tried[key][0]

    def step(scales: Scales) -> Step:
        loss = losses(scales).mean().item()
        return Step(scales, loss, tried[tuple(scales.get(name, 0.0) for name in parts)][1])

    with tqdm(desc='combinations', leave=False) as progress:
        best = min((of_v(parts, scale) for scale in SCALES), key=lambda scales: losses(scales).mean().item())
        steps = [step(best)]
        while True:
            others = [change(best, name, scale, parts) for name in parts for scale in (0.0, *SCALES)]
            others = [scales for scales in others if scales and scales != best]
            found = min(others, key=lambda scales: losses(scales).mean().item(), default=best)
            gain = losses(best) - losses(found)
            if not gain.mean() > gain.std() / len(gain) ** 0.5:
                return Choice(tuple(steps))
            best = found
            steps.append(step(best))


def of_v(parts: Mapping[str, Tensor], scale: float) -> Scales:
    """V alone; in LooC++ V is all spaces."""
    return {name: scale for name in (['V'] if 'V' in parts else parts)}


def change(scales: Scales, name: str, scale: float, parts: Mapping[str, Tensor]) -> Scales:
    """Scales in the order of the blocks, one of which is changed; 0 leaves a block out."""
    changed = {**scales, name: scale}
    return {each: changed[each] for each in parts if changed.get(each)}


def fit_blocks(
    parts: Mapping[str, Tensor], y: Tensor, classes: int, scales: Scales, tolerance: float = 1e-6
) -> LinearClassifier:
    """Logistic regression on the blocks, standardised and scaled; the result takes them as they are, side by side.

    Args:
        parts: Block to (N, C).
        y: (N,).
        classes: K.
        scales: Of the blocks that are used.
        tolerance: Of :class:`LinearClassifier`.
    """
    x = select(parts, list(scales))
    return LinearClassifier(tolerance=tolerance).fit(x, y.to(x.device), classes, channel_scales(parts, scales))


def channel_scales(parts: Mapping[str, Tensor], scales: Scales) -> Tensor:
    """The scale of each channel of the blocks, side by side."""
    return torch.cat([torch.full((parts[name].shape[1],), scale) for name, scale in scales.items()])


def held_out_losses(
    parts: Mapping[str, Tensor], y: Tensor, fold: Tensor, classes: int, scales: Scales
) -> tuple[Tensor, float]:
    """(N,) cross-entropies, each of a picture that the classifier was not fitted on, and the top-1 in percent."""
    losses = torch.zeros(len(y), dtype=torch.double)
    hits = 0
    for number in fold.unique().tolist():
        rest, held = fold != number, fold == number
        fitted = fit_blocks({name: x[rest] for name, x in parts.items()}, y[rest], classes, scales, TOLERANCE)
        logits = fitted.predict(select({name: x[held].double() for name, x in parts.items()}, list(scales))).cpu()
        losses[held] = F.cross_entropy(logits, y[held], reduction='none')
        hits += int((logits.argmax(1) == y[held]).sum())
    return losses, 100 * hits / len(y)


def folds(y: Tensor, groups: Tensor, classes: Sequence[str], seed: int = 0, most: int = FOLDS) -> Tensor:
    """Divide pictures into folds that share no group, and every class evenly.

    Args:
        y: (N,) int64 in [0, K).
        groups: (N,) int64.
        classes: K names, for messages.
        seed: Of the division.
        most: Number of folds; fewer where a class has fewer groups.

    Returns:
        (N,) int64, the fold of each picture.

    Raises:
        ValueError: A class has pictures of one group only, or its groups are all in one fold.
    """
    y, groups = y.cpu(), groups.cpu()
    draw = torch.Generator().manual_seed(seed)
    counts = {label: groups[y == label].unique(return_counts=True) for label in y.unique().tolist()}
    number = min(most, *(len(found) for found, _ in counts.values()))
    side: dict[int, int] = {}  # group -> fold
    total = [0] * number
    for label, (found, sizes) in counts.items():
        filled = [0] * number
        order = torch.randperm(len(found), generator=draw).tolist()
        for group, size in ((int(found[each]), int(sizes[each])) for each in order if int(found[each]) in side):
            filled[side[group]] += size
        for group, size in ((int(found[each]), int(sizes[each])) for each in order if int(found[each]) not in side):
            side[group] = min(range(number), key=lambda each: (filled[each], total[each]))
            filled[side[group]] += size
        total = [a + b for a, b in zip(total, filled, strict=True)]
        if number < 2 or sum(each > 0 for each in filled) < 2:
            raise ValueError(
                f'The class {classes[label]!r} ({int(sizes.sum())} training pictures of {len(found)} groups) cannot be '
                f'divided: cross-validation needs pictures of at least 2 groups. Add pictures, raise --shots, or leave '
                f'the class out.'
            )
    return torch.tensor([side[group] for group in groups.tolist()])


def few(y: Tensor, most: int, seed: int = 0) -> Tensor:
    """Rows of at most about ``most`` random pictures, of each class in proportion and at least two."""
    draw = torch.Generator().manual_seed(seed)
    rows = []
    for label in y.unique().tolist():
        own = (y == label).nonzero()[:, 0].cpu()
        wanted = max(2, round(len(own) * min(1.0, most / len(y))))
        rows.append(own[torch.randperm(len(own), generator=draw)[:wanted]])
    return torch.cat(rows).sort().values
