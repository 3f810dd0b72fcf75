"""The figures of a space against plain loops, and the word that sums them up."""

import math
from types import SimpleNamespace

import pytest
import torch

from looc_mm.models.looc_loss import LooCLoss
from looc_mm.models.multi_head import MultiHead
from looc_mm.models.space_figures import SpaceFigures, lower_bound, space_state

from .test_multi_head_moco import build, views

SPACES, VIEWS = ('invariant', 'rotation', 'color'), ('k_0', 'k_rotation', 'k_color')
S, B, D, K = 3, 16, 8, 5


@pytest.fixture
def step():
    """Embeddings of a step, and which keys have the query's parameters."""
    torch.manual_seed(0)
    q, k, queue = (torch.nn.functional.normalize(torch.randn(*shape), dim=axis) for shape, axis in (
        ((S, B, D), -1), ((S, S, B, D), -1), ((S, D, K), 1)))  # fmt: skip
    same = torch.rand(S, S, B) < 0.4
    same[0], same[1, 1], same[2, 2] = False, True, True
    return q, k, queue, same


def by_loops(q, k, queue, same):
    """Every figure, image by image."""
    values = {space: {} for space in SPACES}

    def note(space, figure, value):
        values[space].setdefault(figure, []).append(float(value))

    for i, space in enumerate(SPACES):
        for b in range(B):
            positive = q[i, b] @ k[i, i, b]
            others = [q[i, b] @ queue[i][:, n] for n in range(K)]
            keys = {VIEWS[j]: q[i, b] @ k[i, j, b] for j in range(S) if j != i and i > 0}
            note(space, 'pos', positive)
            note(space, 'others', sum(others) / K)
            note(space, 'top1', 100 * all(positive > each for each in [*others, *keys.values()]))
            for j, view in enumerate(VIEWS):
                if view in keys and not same[i, j, b]:
                    note(space, view, keys[view])
            if i == 0:
                note(space, 'P', sum(positive > each for each in others) / K)
            elif not same[i, 0, b]:
                note(space, 'P', positive > keys['k_0'])
    return {
        space: {figure: (sum(each) / len(each), len(each)) for figure, each in figures.items()}
        for space, figures in values.items()
    }


def similar(got, expected):
    assert got.keys() == expected.keys()
    for space, figures in expected.items():
        assert got[space].keys() == figures.keys()
        for figure, (mean, number) in figures.items():
            assert got[space][figure] == (pytest.approx(mean, abs=1e-5), number), (space, figure)


def test_figures_are_those_of_plain_loops(step):
    q, k, queue, same = step
    figures = SpaceFigures(SPACES, VIEWS)
    figures.add([each * 0.2 for each in LooCLoss(0.2).logits(q, k, queue)], True, same)
    similar(figures.read(), by_loops(*step))
    assert figures.read() == {}, 'a reading begins again'


def test_steps_add_up_to_means_over_all_their_values(step):
    q, k, queue, same = step
    figures = SpaceFigures(SPACES, VIEWS)
    for part in (slice(0, 3), slice(3, B)):
        logits = LooCLoss(1).logits(q[:, part], k[:, :, part], queue)
        figures.add(logits, True, same[:, :, part])
    similar(figures.read(), by_loops(*step))


def test_what_the_loss_leaves_out_counts_nowhere(step):
    """Masked false negatives, and columns of the queue that hold the query's own image."""
    q, k, queue, same = step
    own = torch.zeros(B, K, dtype=torch.bool)
    own[:, 1] = True
    figures, kept = SpaceFigures(SPACES, VIEWS), SpaceFigures(SPACES, VIEWS)
    figures.add(LooCLoss(1, mask_false_negatives=True).logits(q, k, queue, same, own), True, same)
    kept.add(LooCLoss(1).logits(q, k, queue[..., [0, 2, 3, 4]]), True, same)
    got, expected = figures.read(), kept.read()
    for space in SPACES:
        for figure in {'pos', 'others', 'P', *VIEWS} & set(expected[space]):
            assert got[space][figure] == pytest.approx(expected[space][figure], abs=1e-5), (space, figure)


def test_what_a_new_queue_is_filled_with_counts_nowhere(step):
    """In the first step no key of another image is known: top1 was 100 or chance, and P was that of random vectors."""
    q, k, queue, same = step
    for stored in (0, 2, K):
        figures, kept = SpaceFigures(SPACES, VIEWS), SpaceFigures(SPACES, VIEWS)
        watched = SimpleNamespace(figures=figures, head=LooCLoss(0.2), spaces=SPACES)
        filled = torch.arange(K) < stored
        logits = LooCLoss(0.2).logits(q, k, queue)
        MultiHead.watch(watched, logits, torch.zeros(S), same, filled)
        assert all(each.isfinite().all() for each in logits), 'the loss keeps them, as MoCo'
        kept.add(LooCLoss(1).logits(q, k, queue[..., :stored]), True, same)
        got, expected = figures.read(), kept.read()
        similar(got, expected)
        assert ('others' in got['rotation']) == ('top1' in got['invariant']) == bool(stored)
        assert {'pos', 'P', 'top1', 'k_0', 'k_color'} <= {*got['rotation']}


def test_without_the_view_table_p_is_not_known(step):
    q, k, queue, _ = step
    figures = SpaceFigures(SPACES, VIEWS)
    figures.add(LooCLoss(1).logits(q, k, queue), True, None)
    read = figures.read()
    assert 'P' not in read['rotation'] and read['rotation']['k_color'][1] == B
    assert space_state(read['rotation']) is None


def test_all_invariant_spaces_are_judged_by_other_images(step):
    q, k, queue, same = step
    figures = SpaceFigures(SPACES, VIEWS)
    figures.add(LooCLoss(1, same_image_negatives=False).logits(q, k, queue, same), False, same)
    read = figures.read()
    for i, space in enumerate(SPACES):
        wins = [(q[i, b] @ k[i, i, b] > q[i, b] @ queue[i][:, n]).item() for b in range(B) for n in range(K)]
        assert read[space].keys() == {'pos', 'others', 'top1', 'P'}
        assert read[space]['P'] == (pytest.approx(sum(wins) / (B * K)), B)


def test_lower_bound_solves_wilsons_equation():
    """The bound p0 is where the share is 1.96 standard deviations, of p0, above p0."""
    for share, number in ((0.5, 100), (0.6, 40), (0.9, 7), (1.0, 5)):
        bound = lower_bound(share, number)
        assert (share - bound) / math.sqrt(bound * (1 - bound) / number) == pytest.approx(1.96)


@pytest.mark.parametrize(
    ('figures', 'word'),
    [
        ({'others': (0.96, 10), 'P': (0.9, 1000)}, 'collapsed'),
        ({'others': (0.94, 10), 'P': (0.9, 1000)}, 'learning'),
        ({'others': (0.5, 10), 'P': (0.56, 1000)}, 'not yet'),
        ({'others': (0.5, 10), 'P': (0.60, 1000)}, 'learning'),
        ({'others': (0.5, 10), 'P': (0.60, 50)}, 'not yet'),
        ({'others': (0.5, 10)}, None),
        ({'others': (0.0, 10), 'pos': (0.0, 10)}, 'collapsed'),
        ({'others': (0.5, 10), 'pos': (0.5, 10), 'P': (0.9, 1000)}, 'collapsed'),
        ({'others': (0.5, 10), 'pos': (0.51, 10), 'P': (0.9, 1000)}, 'learning'),
    ],
)
def test_a_word_for_a_space(figures, word):
    assert space_state(figures) == word


def test_weights_of_zero_are_collapsed_by_name():
    """The loss is log K then, and no embedding has a direction."""
    model = build()
    with torch.no_grad():
        for heads in (model.neck.heads, model.key_heads):
            heads['color'][2].weight.zero_()
            heads['color'][2].bias.zero_()
    model.momentum = 1.0
    for _ in range(40):
        model.loss(views(model))
    model.figures.read()
    model.loss(views(model))
    read = model.figures.read()
    assert read['color']['pos'][0] == read['color']['others'][0] == 0
    assert space_state(read['color']) == 'collapsed' != space_state(read['rotation'])


def test_a_constant_head_is_collapsed_and_the_others_are_not():
    model = build()
    with torch.no_grad():
        for heads in (model.neck.heads, model.key_heads):
            heads['color'][2].weight.zero_()
            heads['color'][2].bias.fill_(1.0)
    model.momentum = 1.0
    for _ in range(40):  # the queue fills with its keys
        model.loss(views(model))
    model.figures.read()
    model.loss(views(model))
    read = model.figures.read()
    assert space_state(read['color']) == 'collapsed'
    assert read['rotation']['others'][0] < read['color']['others'][0] == pytest.approx(1, abs=1e-4)
