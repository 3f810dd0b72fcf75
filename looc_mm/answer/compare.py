"""Which representation is better on the same test pictures, and the sentence that follows.

Shapes: N test pictures. ``hits`` is (N,) bool: which pictures a classifier got right. For numbers it is (N,) float: the
absolute errors, negated.

Comparisons are paired: the exact two-sided sign test on the pictures where one of the two is better. For classifiers it
is McNemar's exact test. Where several pictures show one object (``groups``), each object counts once, by the sign
of its difference. Holm's method corrects for the number of comparisons. Better and worse mean an adjusted p of at most
0.05.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from looc_mm.models.space_figures import lower_bound

from .baselines import BOTH, HISTOGRAM, HOG

ALPHA = 0.05
RANDOM = 'random weights'
BASELINES = (RANDOM, HISTOGRAM, HOG, BOTH)
BETTER, SAME, WORSE = 'better', 'no difference', 'worse'

_SUBJECTS = {
    RANDOM: ('Random weights do as well', 'Random weights are better'),
    HISTOGRAM: ('A colour histogram does as well', 'A colour histogram is better'),
    HOG: ('HOG does as well', 'HOG is better'),
    BOTH: ('Colour histogram + HOG do as well', 'Colour histogram + HOG are better'),
}


@dataclass(frozen=True)
class Conclusion:
    """What the numbers support.

    Attributes:
        sentence: For the engineer.
        p: Adjusted p of each other representation against V.
        verdicts: 'better', 'no difference' or 'worse' than V, for each other representation.
    """

    sentence: str
    p: Mapping[str, float]
    verdicts: Mapping[str, str]


def wilson(percent: float, number: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of independent draws, in percent."""
    share = min(1.0, max(0.0, percent / 100))
    low, high = lower_bound(share, number), 1 - lower_bound(1 - share, number)
    return 100 * max(0.0, low), 100 * min(1.0, high)


def sign_test(hits: Tensor, other: Tensor, groups: Tensor) -> float:
    """Exact two-sided p of the paired comparison of two classifiers.

    Args:
        hits: (N,) of the one.
        other: (N,) of the other.
        groups: (N,) int64; see :class:`looc_mm.answer.labelled.Split`.

    Returns:
        P that a fair coin divides the groups that differ at least as unevenly. 1 if the groups and the pictures
        disagree about which of the two is better.
    """
    _, index = groups.unique(return_inverse=True)
    difference = hits.cpu().double() - other.cpu().double()
    sums = torch.zeros(int(index.max()) + 1, dtype=torch.float64).index_add_(0, index.cpu(), difference)
    wins, losses = int((sums > 0).sum()), int((sums < 0).sum())
    if (wins - losses) * float(difference.sum()) <= 0:
        return 1.0
    coin = torch.distributions.Binomial(wins + losses, torch.tensor(0.5, dtype=torch.float64))
    tail = coin.log_prob(torch.arange(min(wins, losses) + 1, dtype=torch.float64)).exp().sum()
    return min(1.0, 2 * float(tail))


def against(reference: Tensor, others: Mapping[str, Tensor], groups: Tensor) -> tuple[dict[str, float], dict[str, str]]:
    """Compare classifiers with one.

    Returns:
        Holm's adjusted p of each, and whether it is better, worse or not different.
    """
    raw = {name: sign_test(hits, reference, groups) for name, hits in others.items()}
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(raw, key=lambda each: raw[each])):
        largest = max(largest, min(1.0, (len(raw) - rank) * raw[name]))
        adjusted[name] = largest
    verdicts = {}
    for name, hits in others.items():
        higher = hits.sum() > reference.sum()
        verdicts[name] = SAME if adjusted[name] > ALPHA else BETTER if higher else WORSE
    return {name: adjusted[name] for name in raw}, verdicts


@dataclass(frozen=True)
class Words:
    """How the sentence shows values.

    Attributes:
        form: The text of a mean of ``hits``.
        guess: What is guessed without a network.
        best: The word for the best value.
    """

    form: Callable[[float], str]
    guess: str
    best: str


SHARES = Words(lambda value: f'{100 * value:.1f}', 'the most frequent class', 'highest')
ERRORS = Words(lambda value: f'error {-value:.3g}', 'the mean of the training pictures', 'lowest')


def conclude(hits: Mapping[str, Tensor], guess: Tensor, groups: Tensor, words: Words = SHARES) -> Conclusion:
    """The sentence, by the first rule that applies.

    1. No representation is better than to guess the most frequent class: nothing beats guessing.
    2. No representation is better or worse than V: nothing differs beyond chance.
    3. V is not better than a baseline (random weights, colour histogram, HOG, both of them): the best such baseline
       does as well, or is better; and if a representation of the model is better than V and than this baseline, use
       the best of them.
    4. A representation of the model is better than V: use the best of them.
    5. Use V.

    The best of several is the first that is not worse than the one with the highest accuracy.

    Args:
        hits: Of a linear classifier on every representation, 'V' and :data:`BASELINES` among them, from simple to
            composed.
        guess: (N,) hits of the most frequent class of the training pictures.
        groups: (N,) int64.
        words: For the values; :data:`ERRORS` for numbers.
    """
    value = {name: each.double().mean().item() for name, each in hits.items()}
    text = {name: words.form(each) for name, each in value.items()}
    others = {name: each for name, each in hits.items() if name != 'V'}
    p, verdicts = against(hits['V'], others, groups)
    _, beyond_guess = against(guess, hits, groups)
    used = [name for name in others if name not in BASELINES and verdicts[name] == BETTER]
    rivals = [name for name in BASELINES if verdicts[name] != WORSE]
    v = text['V']
    if BETTER not in beyond_guess.values():
        best = max(hits, key=value.__getitem__)
        guessed = words.form(guess.double().mean().item())
        sentence = (
            f'Nothing beats guessing {words.guess} beyond chance ({guessed}): '
            f'the {words.best} is {text[best]} for {best}.'
        )
    elif {*verdicts.values()} == {SAME}:
        sentence = f'Nothing differs beyond chance: {v} for V, and no other representation is better or worse.'
    elif rivals:
        rival = max(rivals, key=value.__getitem__)
        _, beyond_rival = against(hits[rival], {name: hits[name] for name in used}, groups)
        used = [name for name in used if beyond_rival[name] == BETTER]
        sentence = f'{_SUBJECTS[rival][verdicts[rival] == BETTER]} ({text[rival]} against {v} for V)'
        if used:
            best = first_of_best(used, hits, groups)
            sentence += f': use {best}, {text[best]}.'
        else:
            sentence += f', and no representation of the pretrained model is better than {rival}.'
    elif used:
        best = first_of_best(used, hits, groups)
        sentence = f'Use {best}: {text[best]} against {v} for V.'
    else:
        rival = max(BASELINES, key=value.__getitem__)
        sentence = f'Use V: {v} against {text[rival]} for {rival}; nothing is better than V beyond chance.'
    return Conclusion(sentence, p, verdicts)


def first_of_best(names: Sequence[str], hits: Mapping[str, Tensor], groups: Tensor) -> str:
    """The first of some representations that is not worse than the one with the highest accuracy."""
    highest = max(names, key=lambda name: float(hits[name].sum()))
    _, verdicts = against(hits[highest], {name: hits[name] for name in names}, groups)
    return next(name for name in names if verdicts[name] == SAME)
