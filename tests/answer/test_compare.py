"""The tests of significance against oracles, and each rule of the sentence."""

import pytest
import torch
from scipy.stats import binomtest

from looc_mm.answer.compare import BETTER, SAME, WORSE, against, conclude, first_of_best, sign_test, wilson

N = 200
ALONE = torch.arange(N)


def first(number):
    """Hits on the first pictures: a comparison of two of them has no pictures that go the other way."""
    return torch.arange(N) < number


def conclusion(v=100, random=60, histogram=60, hog=60, both=60, guess=40, **others):
    hits = {'random weights': first(random), 'colour histogram': first(histogram), 'HOG': first(hog)}
    hits |= {'colour histogram + HOG': first(both), 'V': first(v)}
    hits |= {name.replace('_and_', ' + '): first(number) for name, number in others.items()}
    return conclude(hits, first(guess), ALONE)


def test_wilson_as_scipy():
    for right, number in ((0, 9), (9, 9), (39, 100), (1, 700)):
        expected = binomtest(right, number).proportion_ci(0.95, 'wilson')
        assert wilson(100 * right / number, number) == pytest.approx(
            (100 * expected.low, 100 * expected.high), abs=0.01
        )


def test_without_groups_it_is_the_exact_test_of_mcnemar():
    draw = torch.Generator().manual_seed(0)
    for share in (0.5, 0.6, 0.8):
        one, two = torch.rand(N, generator=draw) < share, torch.rand(N, generator=draw) < 0.5
        wins, losses = int((one & ~two).sum()), int((two & ~one).sum())
        assert sign_test(one, two, ALONE) == pytest.approx(min(1.0, binomtest(wins, wins + losses).pvalue))
    assert sign_test(one, one, ALONE) == 1


def test_pictures_of_one_object_count_once():
    better, groups = first(120), ALONE // 40  # 20 pictures more, all of one object
    assert sign_test(better, first(100), ALONE) < 1e-4
    assert sign_test(better, first(100), groups) == 1
    # one object with many pictures against three with one: pictures and objects disagree
    one, two = torch.zeros(13, dtype=torch.bool), torch.zeros(13, dtype=torch.bool)
    one[:10], two[10:] = True, True
    assert sign_test(one, two, torch.tensor([0] * 10 + [1, 2, 3])) == 1


def test_holm_by_hand():
    others = {name: first(100 + more) for name, more in (('a', 5), ('b', 8), ('c', 7))}
    p, verdicts = against(first(100), others, ALONE)  # raw p: 2 / 2**more
    assert p == pytest.approx({'a': 2 / 2**5, 'b': 3 * 2 / 2**8, 'c': max(3 * 2 / 2**8, 2 * 2 / 2**7)})
    assert verdicts == {'a': SAME, 'b': BETTER, 'c': BETTER}
    assert against(first(100), {'low': first(80)}, ALONE)[1] == {'low': WORSE}


def test_nothing_beats_guessing():
    got = conclusion(v=42, random=41, histogram=40, hog=41, both=41, guess=40)
    assert got.sentence == (
        'Nothing beats guessing the most frequent class beyond chance (20.0): the highest is 21.0 for V.'
    )


def test_nothing_differs():
    got = conclusion(v=100, random=99, histogram=101, hog=100, both=100, Z_color=102)
    assert got.sentence == (
        'Nothing differs beyond chance: 50.0 for V, and no other representation is better or worse.'
    )
    assert set(got.verdicts.values()) == {SAME} and set(got.p.values()) == {1.0}


@pytest.mark.parametrize(
    ('name', 'value', 'start'),
    [
        ('histogram', 100, 'A colour histogram does as well (50.0 against 50.0 for V)'),
        ('histogram', 130, 'A colour histogram is better (65.0 against 50.0 for V)'),
        ('random', 100, 'Random weights do as well (50.0 against 50.0 for V)'),
        ('random', 130, 'Random weights are better (65.0 against 50.0 for V)'),
        ('hog', 99, 'HOG does as well (49.5 against 50.0 for V)'),
        ('both', 130, 'Colour histogram + HOG are better (65.0 against 50.0 for V)'),
    ],
)
def test_a_baseline_that_v_does_not_beat(name, value, start):
    full = {
        'histogram': 'colour histogram',
        'random': 'random weights',
        'hog': 'HOG',
        'both': 'colour histogram + HOG',
    }[name]
    got = conclusion(**{name: value})
    assert got.sentence == f'{start}, and no representation of the pretrained model is better than {full}.'
    got = conclusion(**{name: value}, V_and_HOG=value + 30)
    assert got.sentence == f'{start}: use V + HOG, {(value + 30) / 2:.1f}.'


def test_what_beats_v_but_not_the_baseline_is_not_recommended():
    got = conclusion(histogram=130, V_and_HOG=131)
    assert got.verdicts['V + HOG'] == BETTER and got.sentence.endswith('is better than colour histogram.')


def test_a_better_representation_and_the_simplest_of_equals():
    assert conclusion(V_and_Z_color=112).sentence == 'Use V + Z_color: 56.0 against 50.0 for V.'
    got = conclusion(Z_color=130, V_and_Z_color=132)
    assert got.sentence == 'Use Z_color: 65.0 against 50.0 for V.'
    hits = {'a': first(130), 'b': first(132), 'c': first(150)}
    assert first_of_best(list(hits), hits, ALONE) == 'c' and first_of_best(['a', 'b'], hits, ALONE) == 'a'


def test_v_when_nothing_is_better():
    got = conclusion(v=100, random=70, Z_color=101)
    assert got.sentence == 'Use V: 50.0 against 35.0 for random weights; nothing is better than V beyond chance.'
