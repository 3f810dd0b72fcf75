"""Which views share what, and what is left out."""

import pytest
import torch

from looc_mm.audit.audit import halves
from looc_mm.audit.pairs import (
    couples,
    differ,
    draw_pairs,
    make_views,
    one_view,
    same_pixels,
    standard_augmentations,
    targets,
    visible_targets,
)
from looc_mm.augmentations import ColorJitter, HorizontalFlip, RandomRightAngleRotation
from looc_mm.views import LeaveOneOutPipeline

DRAW = torch.Generator().manual_seed(0)
CANVAS = torch.randint(0, 256, (30, 3, 24, 24), generator=DRAW).byte()


@pytest.fixture(scope='module')
def drawn():
    pipeline = one_view(standard_augmentations(16))
    splits = halves(300)
    return pipeline, splits, draw_pairs(pipeline, splits, (24, 24), torch.Generator().manual_seed(1))


def test_halves_share_no_picture():
    for count in (2, 7, 100):
        train, test = halves(count)
        assert sorted([*train.tolist(), *test.tolist()]) == list(range(count))


def test_what_each_view_shares(drawn):
    pipeline, _, pairs = drawn
    names = [each.name for each in pipeline.augmentations]
    assert names == ['crop', 'rotation', 'flip', 'color', 'blur']
    for name in names:
        same, other, alone = pairs.same_view(name), pairs.other_view(name), pairs.alone_view(name)
        assert not differ(same[name], pairs.query[name]).any()
        coupled = pairs.partner[name] != torch.arange(300)
        assert torch.equal(differ(other[name], pairs.query[name]), coupled)
        for rest in names:
            if rest != name:
                assert same[rest] is other[rest] is pairs.key[rest] and alone[rest] is pairs.query[rest]
    assert differ(pairs.key['crop'], pairs.query['crop']).all()


def test_couples_swap_within_a_split(drawn):
    """So each value of x_i occurs as often in 'same' as in 'other', and one view alone shows nothing."""
    _, splits, pairs = drawn
    for name, partner in pairs.partner.items():
        assert torch.equal(partner[partner], torch.arange(300))
        for split in splits:
            assert set(partner[split].tolist()) == set(split.tolist())
        for key, value in pairs.query[name].items():
            rows = (partner != torch.arange(300)).nonzero()[:, 0]
            one, two = (
                each[key][rows].reshape(len(rows), -1).double() for each in (pairs.query[name], pairs.other[name])
            )
            assert torch.equal(one.sort(0).values, two.sort(0).values), key
            assert value.dtype == pairs.other[name][key].dtype


def test_a_parameter_of_one_value_has_no_couples():
    params = {'flip': torch.zeros(40, dtype=torch.bool)}
    assert torch.equal(couples(params, halves(40), DRAW), torch.arange(40))
    params['flip'][[0, 1, 25]] = True
    coupled = couples(params, halves(40), DRAW) != torch.arange(40)
    assert coupled[:20].sum() == 4 and coupled[20:].sum() == 2


def test_a_view_is_the_view_of_the_pipeline():
    augmentations = standard_augmentations(16)
    two = LeaveOneOutPipeline(augmentations, leave_one_out=[])
    table = two.sample(30, torch.Generator().manual_seed(2), (24, 24))
    rows = torch.tensor([7, 3])
    got = make_views(one_view(augmentations), CANVAS[rows], table['k_0'], rows)
    assert torch.allclose(got, two.apply(CANVAS, table)[1, rows], atol=1e-6)


def test_same_pixels():
    views = torch.rand(3, 3, 5, 5)
    other = views.clone()
    other[1, 2, 4, 4] += 0.01
    assert same_pixels(views, other).tolist() == [True, False, True]


def test_targets():
    turns = RandomRightAngleRotation()
    query, other = ({'quarter_turns': torch.tensor(each)} for each in ([0, 3, 1], [1, 1, 1]))
    assert targets(turns, query, other).tolist() == [[0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 0]]
    jitter = ColorJitter(brightness=0.4, hue=0.1)
    query, other = jitter.identity(1), jitter.identity(1)
    other['factors'][0, 0], other['hue'][0] = 1.2, -0.05
    assert torch.allclose(targets(jitter, query, other).float(), torch.tensor([[0.25, 0, 0, -0.25, 0]]), atol=1e-6)


def test_hue_of_a_grey_picture_is_not_visible():
    jitter = ColorJitter()
    query, other = jitter.identity(2), jitter.identity(2)
    other['factors'] = torch.tensor([[1.3, 0.7, 1.4]]).repeat(2, 1)
    other['hue'][:] = 0.08
    images = torch.rand(2, 3, 8, 8, generator=DRAW)
    images[1] = images[1].mean(0)  # gray
    assert visible_targets(jitter, images, query, other).tolist() == [
        [True, True, True, True, True],  # the gray is the same in both, and follows nothing
        [True, True, False, False, True],
    ]


def test_classes_are_all_visible():
    flip = HorizontalFlip()
    query, other = ({'flip': torch.tensor([value])} for value in (False, True))
    assert visible_targets(flip, torch.zeros(1, 3, 4, 4), query, other).tolist() == [[True, True]]
