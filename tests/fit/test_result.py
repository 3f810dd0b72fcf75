"""The sentence and the table."""

from looc_mm.answer.result import aligned
from looc_mm.fit.result import conclude, shown


def test_better_beyond_the_interval():
    better, text = conclude({'V': 1.0}, {'V': 0.3, 'color': 1.0}, ['V', 'color'], 70.0, 73.0, (1.0, 5.0), 200)
    assert better and text == (
        'Use 0.3 V + 1 Z_color: 73.0 against 70.0 for V on 200 held-out pictures, better beyond the interval '
        '(+3.0, 95 % interval +1.0 to +5.0).'
    )


def test_within_the_interval_it_is_v():
    for low in (0.0, -0.5):
        better, text = conclude({'V': 1.0}, {'color': 1.0}, ['V', 'color'], 70.0, 71.0, (low, 2.5), 200)
        assert not better and text.startswith('Use V: nothing beats V beyond the interval. 1 Z_color has 71.0 against')
    better, text = conclude({'V': 1.0}, {'color': 1.0}, ['V', 'color'], 70.0, 60.0, (-12, -8), 200)
    assert not better and '(-10.0, 95 % interval -12.0 to -8.0)' in text


def test_no_combination():
    better, text = conclude({'V': 1.0}, {'V': 1.0}, ['V', 'color'], 70.0, 70.0, (0, 0), 200)
    assert not better and 'in cross-validation no combination with the spaces has a loss that is lower by 0.5 %' in text
    better, text = conclude({'V': 1.0}, {'V': 1.0}, ['V'], 70.0, 70.0, (0, 0), 200)
    assert not better and text == 'Use V (70.0 on 200 held-out pictures): the model has no spaces.'
    both = {'color': 0.3, 'rotation': 0.3}
    assert 'no combination' in conclude(both, both, [*both], 70.0, 70.0, (0, 0), 9)[1]


def test_text():
    assert shown({'V': 0.30, 'rotation': 3.0}) == '0.3 V + 3 Z_rotation'
    assert aligned([['a', 'bc', 'x'], ['abc', 'd', 'yy']]) == ['a    bc  x', 'abc   d  yy']
