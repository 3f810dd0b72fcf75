"""What shows that a space learns, has collapsed or has learnt nothing: similarities, averaged while it trains.

Shapes
    S = n + 1  spaces        B  queries        K  keys of other images
"""

import math
from collections.abc import Mapping, Sequence

import torch
from mmengine.dist import all_reduce
from torch import Tensor

COLLAPSED, NOT_YET, LEARNING = 'collapsed', 'not yet', 'learning'
ONE_POINT = 0.95  # mean similarity to other images beyond which a space has collapsed
SAME = 1e-4  # difference between the similarities to the positive and to other images, at most, in a collapsed space
TOLD_APART = 0.55  # what P must exceed, with 95 % confidence


class SpaceFigures:
    """Adds up the figures of every step, without waiting for the device, until somebody reads their means.

    The figures of a space i, similarities being cosines:

    ========  ==========================================================================================
    pos       similarity of the query and its positive, k_i
    k_0, ...  similarity of the query and another key view k_j of its image, over the images whose x_i differs in k_j
    others    similarity of the query and the keys of other images
    top1      how often the positive beats every negative, in percent
    P         how often the positive is nearer than k_0, over the images that share x_i with k_i and not with k_0; in a
              space without same-image negatives, how often it is nearer than a key of another image. 0.5 is chance.
    ========  ==========================================================================================

    Args:
        spaces: Names of the spaces, the invariant one first.
        views: Names of the key views, k_0 first, one for each space.
    """

    def __init__(self, spaces: Sequence[str], views: Sequence[str]) -> None:
        self.spaces, self.views = tuple(spaces), tuple(views)
        self.names: list[tuple[str, str]] = []  # (space, figure) of each column
        self.totals: Tensor | None = None  # 2 x columns: sums, and the numbers of what was summed up

    @torch.no_grad()
    def add(self, similarities: Sequence[Tensor], same_image: bool, same_as_query: Tensor | None = None) -> None:
        """Take in a step.

        Args:
            similarities: Per space (B, 1 + negatives): the positive, the same-image negatives in the order of the other
                key views, other images. What is -inf is no negative.
            same_image: Whether there are same-image negatives in the spaces i >= 1.
            same_as_query: (S, S, B) bool, [i, j]: k_j has the query's x_i. Without it nothing is known of P, and
                the key views are averaged over all images.
        """
        found: dict[tuple[str, str], tuple[Tensor, Tensor]] = {}
        for i, space in enumerate(self.spaces):
            rows = similarities[i]
            positive, negatives = rows[:, 0], rows[:, 1:]
            found[space, 'pos'] = _total(positive)
            wins = 100 * (positive[:, None] > negatives).all(1).float()
            found[space, 'top1'] = _total(wins, negatives.isfinite().any(1))
            if i == 0 or not same_image:
                found[space, 'others'] = _total(_mean(negatives, negatives))
                found[space, 'P'] = _total(_mean((positive[:, None] > negatives).float(), negatives))
                continue
            keys = [j for j in range(len(self.spaces)) if j != i]
            others = negatives[:, len(keys) :]
            found[space, 'others'] = _total(_mean(others, others))
            for column, j in enumerate(keys):
                differs = None if same_as_query is None else ~same_as_query[i, j]
                found[space, self.views[j]] = _total(negatives[:, column], differs)
            if same_as_query is not None:
                chosen = same_as_query[i, i] & ~same_as_query[i, 0]
                found[space, 'P'] = _total((positive > negatives[:, 0]).float(), chosen)
        step = torch.stack([torch.stack(pair) for pair in zip(*found.values(), strict=True)])
        self.names = list(found)
        self.totals = step if self.totals is None else self.totals.to(step.device) + step

    def read(self) -> dict[str, dict[str, tuple[float, int]]]:
        """Take the means since the last reading over all processes, and begin again.

        Returns:
            {space: {figure: (mean, number of values)}}, without figures of which there was no value; empty if there was
            no step.
        """
        if self.totals is None:
            return {}
        totals, self.totals = self.totals, None
        all_reduce(totals)
        sums, counts = totals.tolist()
        figures: dict[str, dict[str, tuple[float, int]]] = {space: {} for space in self.spaces}
        for (space, figure), total, count in zip(self.names, sums, counts, strict=True):
            if count:
                figures[space][figure] = (total / count, int(count))
        return figures


def _mean(values: Tensor, similarities: Tensor) -> Tensor:
    """(B,) means of the (B, K) values whose similarity is finite."""
    counted = similarities.isfinite()
    return torch.where(counted, values, 0).sum(1) / counted.sum(1)


def _total(values: Tensor, chosen: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Sum and number of the (B,) values that are finite and chosen."""
    counted = values.isfinite() if chosen is None else values.isfinite() & chosen
    return torch.where(counted, values, 0).sum(), counted.sum().to(values.dtype)


def space_state(figures: Mapping[str, tuple[float, int]]) -> str | None:
    """One word for a space.

    Args:
        figures: {figure: (mean, number of values)}, see :class:`SpaceFigures`.

    Returns:
        'collapsed' if the similarity to other images is above 0.95, or the same as to the positive, as for embeddings
        of zeros; 'not yet' if the lower 95 % bound of P (Wilson's interval) is at most 0.55; else 'learning'. None
        where P is not known.
    """
    others, positive = (figures.get(name, (None, 0))[0] for name in ('others', 'pos'))
    if others is not None and (others > ONE_POINT or (positive is not None and abs(positive - others) < SAME)):
        return COLLAPSED
    if 'P' not in figures:
        return None
    return LEARNING if lower_bound(*figures['P']) > TOLD_APART else NOT_YET


def not_learnt(states: Mapping[str, str | None]) -> list[str]:
    """The spaces that are not learning, of the state of each; see :func:`space_state`."""
    return [space for space, state in states.items() if state != LEARNING]


def lower_bound(share: float, number: int, z: float = 1.96) -> float:
    """Lower end of Wilson's 95 % interval for a share that was seen among a number of draws."""
    middle = share + z**2 / (2 * number)
    spread = z * math.sqrt(share * (1 - share) / number + z**2 / (4 * number**2))
    return (middle - spread) / (1 + z**2 / number)
