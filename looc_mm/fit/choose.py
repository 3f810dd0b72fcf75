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
#: From one to the next, the penalty changes by about a factor of 10. 0 leaves the block out.
SCALES = (0.03, 0.1, 0.3, 1.0)
#: The choice uses this many training pictures at most; the common factor of the scales and the final fit use all.
MOST = 600
#: Common factors that are tried where there are more pictures, which need less penalty.
FACTORS = (1.0, 3.0)
#: Of the classifiers that are compared; a lower one changes no choice and takes twice the time.
TOLERANCE = 1e-4

#: The least share of the loss that a step has to save. Held-out pictures decide whether the sum of the steps is chance.
LEAST_GAIN = 0.005

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
    """The result of :func:`choose`.

    Attributes:
        steps: From V with the best scale to the chosen combination.
        v: V with its scale for all training pictures.
        best: The chosen combination with its scales for all training pictures.
    """

    steps: tuple[Step, ...]
    v: Scales
    best: Scales


def choose(parts: Mapping[str, Tensor], y: Tensor, groups: Tensor, classes: Sequence[str], seed: int = 0) -> Choice:
    """Begin with V, change one scale at a time to the best one, and stop where the gain is small.

    The first step is V with the best of :data:`SCALES`. Each further step tries every block with every other scale, 0
    included, and takes the change with the least mean loss of held-out pictures. The steps end where this loss falls
    by less than :data:`LEAST_GAIN` of it. So a block that adds nothing is left out.

    With more than :data:`MOST` pictures, the steps use a part of them. Then all pictures choose one factor for the
    scales of V, and one for those of the combination.

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
    steps = walk({name: x[rows] for name, x in parts.items()}, y[rows], groups[rows], classes, seed)
    v, best = steps[0].scales, steps[-1].scales
    if len(rows) == len(y):
        return Choice(steps, v, best)
    held = folds(y, groups, classes, seed) == 0
    grown = grow(parts, y, held, len(classes), v)
    return Choice(steps, grown, grown if best == v else grow(parts, y, held, len(classes), best))


def grow(parts: Mapping[str, Tensor], y: Tensor, held: Tensor, classes: int, scales: Scales) -> Scales:
    """Scales times the one of :data:`FACTORS` that has the least loss on some pictures, fitted on the others.

    Args:
        parts: Block to (N, C).
        y: (N,).
        held: (N,) bool, which are not fitted on.
        classes: K.
        scales: Of the blocks that are used.
    """
    grown = [{name: round(factor * scale, 3) for name, scale in scales.items()} for factor in FACTORS]
    losses = [held_out_losses(parts, y, held.long(), classes, each, (1,))[0][held].mean().item() for each in grown]
    return grown[losses.index(min(losses))]


def walk(parts: Mapping[str, Tensor], y: Tensor, groups: Tensor, classes: Sequence[str], seed: int) -> tuple[Step, ...]:
    """The steps of :func:`choose`, on all of the given pictures."""
    fold = folds(y, groups, classes, seed)
    tried: dict[tuple[float, ...], Step] = {}

    def step(scales: Scales) -> Step:
        key = tuple(scales.get(name, 0.0) for name in parts)
        if key not in tried:
            losses, top1 = held_out_losses(parts, y, fold, len(classes), scales)
            tried[key] = Step(scales, losses.mean().item(), top1)
            progress.update()
        return tried[key]

    with tqdm(desc='combinations', leave=False) as progress:
        steps = [min((step(of_v(parts, scale)) for scale in SCALES), key=lambda each: each.loss)]
        while True:
            best = steps[-1]
            others = [change(best.scales, name, scale, parts) for name in parts for scale in (0.0, *SCALES)]
            found = min((step(scales) for scales in others if scales), key=lambda each: each.loss)
            if found.loss > (1 - LEAST_GAIN) * best.loss:
                return tuple(steps)
            steps.append(found)


def of_v(parts: Mapping[str, Tensor], scale: float) -> Scales:
    """V alone; in LooC++ V is all spaces."""
    return dict.fromkeys(['V'] if 'V' in parts else parts, scale)


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
    parts: Mapping[str, Tensor], y: Tensor, fold: Tensor, classes: int, scales: Scales, only: Sequence[int] = ()
) -> tuple[Tensor, float]:
    """(N,) cross-entropies, each of a picture that the classifier was not fitted on, and the top-1 in percent.

    Args:
        parts: Block to (N, C).
        y: (N,).
        fold: (N,) int64; each fold is held out once.
        classes: K.
        scales: Of the blocks that are used.
        only: The folds that are held out; by default all. The loss of other pictures is 0.
    """
    losses = torch.zeros(len(y), dtype=torch.double)
    hits = 0
    for number in only or fold.unique().tolist():
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
    number = max(2, min(most, *(len(found) for found, _ in counts.values())))
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
        if sum(each > 0 for each in filled) < 2:
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
