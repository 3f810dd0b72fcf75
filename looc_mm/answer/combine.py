"""The representations that are compared: of the network, of random weights, baselines, and stacks of them."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from looc_mm.evaluation import Features
from looc_mm.evaluation.features import FeatureSet

from .baselines import BOTH, HISTOGRAM, HOG
from .compare import RANDOM


def combinations(
    spaces: Sequence[str],
    found: Mapping[str, FeatureSet],
    random: Mapping[str, Features],
    fixed: Mapping[str, Mapping[str, Tensor]],
) -> Iterator[tuple[str, tuple[Features, Features]]]:
    """Every representation that is compared, by name: (training features, test features).

    Args:
        spaces: Names of the spaces, the invariant one first.
        found: Of the trained network, for both splits.
        random: V of random weights.
        fixed: Colour histogram and HOG, for both splits.
    """
    labels = {split: each.labels for split, each in found.items()}
    parts: dict[str, dict[str, Tensor]] = {}  # name -> split -> N x C
    parts[RANDOM] = {split: each.x for split, each in random.items()}
    for name in (HISTOGRAM, HOG):
        parts[name] = {split: fixed[split][name].to(parts[RANDOM][split].device) for split in found}
    parts[BOTH] = stacked([parts[HISTOGRAM], parts[HOG]])
    parts['V'] = {split: each.select(['V']).x for split, each in found.items()}
    for space in spaces:
        parts[f'Z_{space}'] = {split: each.parts[space] for split, each in found.items()}
    if len(spaces) > 1 and 'V' in found['train'].parts:  # V of LooC++ is all spaces
        parts['all spaces'] = {split: each.select(spaces).x for split, each in found.items()}
    stacks = [[f'Z_{space}'] for space in spaces[1:] if 'V' in found['train'].parts]
    for added in [*stacks, [HISTOGRAM], [HOG], [HISTOGRAM, HOG]]:
        parts[' + '.join(['V', *added])] = stacked([parts[name] for name in ('V', *added)])
    for name, each in parts.items():
        yield name, (Features(each['train'], labels['train']), Features(each['test'], labels['test']))


def stacked(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Representations side by side, each standardised by the training pictures and of the same weight in a cosine.

    Args:
        parts: For each representation, split to (N, C).

    Returns:
        Split to (N, sum of all C). The mean square of a training value is 1.
    """
    total = sum(part['train'].shape[1] for part in parts)
    scaled: dict[str, list[Tensor]] = {split: [] for split in parts[0]}
    for part in parts:
        std, mean = torch.std_mean(part['train'], 0, correction=0)
        std = torch.where(std > 1e-6 * mean.abs(), std, 1.0)  # a dead channel stays zero
        weight = (total / len(parts) / part['train'].shape[1]) ** 0.5
        for split, x in part.items():
            scaled[split].append(weight * (x - mean) / std)
    return {split: torch.cat(each, 1) for split, each in scaled.items()}
