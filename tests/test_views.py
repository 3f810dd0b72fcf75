"""The view table by property: what k_i shares with q, and what nothing shares."""

import numpy as np
import pytest
import torch

from looc_mm.augmentations import AtomicAugmentation, GeometricAugmentation
from looc_mm.registry import TRANSFORMS
from looc_mm.views import LeaveOneOutPipeline

ALL = [
    dict(type='RandomResizedCrop', size=48),
    dict(type='HorizontalFlip'),
    dict(type='RandomRightAngleRotation'),
    dict(type='ColorJitter'),
    dict(type='GaussianBlur'),
]
MANY = 4000


@pytest.fixture
def canvas(images) -> torch.Tensor:
    return (images * 255).byte()


def equal(left: dict, right: dict) -> torch.Tensor:
    """(B,) where every parameter of an augmentation is bitwise equal."""
    return torch.stack([(left[key] == right[key]).reshape(len(left[key]), -1).all(1) for key in left]).all(0)


def test_spaces_and_views_in_order():
    assert LeaveOneOutPipeline(ALL).spaces == ('invariant', 'rotation', 'color')
    swapped = LeaveOneOutPipeline(ALL, leave_one_out=['color', 'rotation'])
    assert swapped.spaces == ('invariant', 'color', 'rotation')
    assert swapped.views == ('q', 'k_0', 'k_color', 'k_rotation')
    moco = LeaveOneOutPipeline(ALL, leave_one_out=[])
    assert moco.spaces == ('invariant',) and moco.views == ('q', 'k_0')
    assert TRANSFORMS.build(dict(type='LeaveOneOutPipeline', augmentations=ALL)).spaces == (
        'invariant',
        'rotation',
        'color',
    )


def test_each_key_shares_exactly_its_augmentation(generator):
    """k_i has q's i-th parameters on every image; any other pair agrees no more often than by chance."""
    pipeline = LeaveOneOutPipeline(ALL)
    table = pipeline.sample(MANY, generator, (300, 400))
    # By chance: both undrawn, or the same draw of few. Crop and a drawn jitter or blur never coincide.
    chance = {'crop': 0, 'flip': 1 / 2, 'rotation': 1 / 4 + 3 / 36, 'color': 0.04 * (0.64 + 0.04), 'blur': 1 / 4}
    views = list(table)
    for a, left in enumerate(views):
        for right in views[a + 1 :]:
            for name, expected in chance.items():
                share = equal(table[left][name], table[right][name]).float().mean()
                if left == 'q' and right == f'k_{name}':
                    assert share == 1
                else:
                    assert abs(share - expected) < 0.035, (left, right, name)


def test_coin_and_order_of_operations_are_copied(generator):
    table = LeaveOneOutPipeline(ALL).sample(MANY, generator, (48, 48))
    q, key = table['q']['color'], table['k_color']['color']
    assert all(torch.equal(q[part], key[part]) for part in ('factors', 'hue', 'order', 'gray'))
    assert q['order'].unique(dim=0).shape[0] == 24 and 0 < (q['hue'] == 0).float().mean() < 0.5


def test_draws_obey_the_generator():
    pipeline = LeaveOneOutPipeline(ALL)
    state = torch.get_rng_state()
    tables = [pipeline.sample(16, torch.Generator().manual_seed(seed), (48, 48)) for seed in (1, 1, 2)]
    assert torch.equal(state, torch.get_rng_state())
    same, other = (
        [equal(tables[0][v][a], tables[i][v][a]).all() for v in tables[0] for a in ('crop',)] for i in (1, 2)
    )
    assert all(same) and not any(other)


def test_apply_is_pure_and_in_order(canvas, generator):
    pipeline = LeaveOneOutPipeline(ALL)
    table = pipeline.sample(len(canvas), generator, (300, 400))
    before, state = canvas.clone(), torch.get_rng_state()
    views = pipeline.apply(canvas, table)
    assert views.shape == (4, len(canvas), 3, 48, 48) and views.dtype == torch.float32
    assert 0 <= views.min() and views.max() <= 1
    assert torch.equal(views, pipeline.apply(canvas, table)), 'replay is bitwise'
    assert torch.equal(canvas, before) and torch.equal(state, torch.get_rng_state())
    # Views do not depend on each other nor on the batch: q alone, of one image alone, is bitwise the same.
    alone = LeaveOneOutPipeline(ALL, leave_one_out=[])
    for row in (0, 5):
        small = {
            view: {name: {key: value[row : row + 1] for key, value in params.items()} for name, params in cells.items()}
            for view, cells in table.items()
            if view in alone.views
        }
        assert torch.equal(alone.apply(canvas[row : row + 1], small)[:, 0], views[:2, row])
    assert torch.equal(pipeline.apply(canvas.float() / 255, table), views), 'a float canvas is taken as it is'


def test_fused_geometry_equals_the_steps_one_by_one(canvas, generator):
    """Crop, flip and turn as one sampling against a crop and then exact flips and turns of its pixels."""
    names = ('RandomResizedCrop', 'HorizontalFlip', 'RandomRightAngleRotation')
    for order in ((0, 1, 2), (0, 2, 1)):
        pipeline = LeaveOneOutPipeline([dict(type=names[i], **(dict(size=48) if i == 0 else {})) for i in order], [])
        table = pipeline.sample(len(canvas), generator, (224, 224))
        views = pipeline.apply(canvas, table)
        for index, view in enumerate(pipeline.views):
            expected = pipeline.augmentations[0].apply(canvas.float() / 255, table[view]['crop'])
            for i in order[1:]:
                if i == 1:
                    flip = table[view]['flip']['flip']
                    expected = torch.where(flip[:, None, None, None], expected.flip(-1), expected)
                else:
                    turns = table[view]['rotation']['quarter_turns'].tolist()
                    expected = torch.stack([x.rot90(t, (-2, -1)) for x, t in zip(expected, turns, strict=True)])
            assert (views[index] - expected).abs().max() * 255 < 0.05


def test_neighbouring_geometric_ones_are_one_sampling(canvas, generator, monkeypatch):
    calls = []
    from looc_mm import views

    original = views.warp
    monkeypatch.setattr(views, 'warp', lambda *arguments: calls.append(1) or original(*arguments))
    pipeline = LeaveOneOutPipeline(ALL)
    pipeline.apply(canvas[:2], pipeline.sample(2, generator, (224, 224)))
    assert len(calls) == len(pipeline.views)


def test_pixel_steps_act_in_the_lists_order(canvas, generator):
    """Blur then colour is not colour then blur; each equals the augmentations applied by hand."""
    for steps in (('ColorJitter', 'GaussianBlur'), ('GaussianBlur', 'ColorJitter')):
        pipeline = LeaveOneOutPipeline([dict(type=step, prob=1) for step in steps], leave_one_out=[])
        table = pipeline.sample(len(canvas), generator, (224, 224))
        expected = canvas.float() / 255
        for augmentation in pipeline.augmentations:
            expected = augmentation.apply(expected, table['q'][augmentation.name])
        assert torch.equal(pipeline.apply(canvas, table)[0], expected)


def test_shared_finds_what_is_equal_on_purpose_and_by_chance(generator):
    pipeline = LeaveOneOutPipeline(ALL)
    table = pipeline.sample(MANY, generator, (48, 48))
    shared = pipeline.same_as_query(table)
    assert shared.shape == (3, 3, MANY) and not shared[0].any() and shared[1, 1].all() and shared[2, 2].all()
    turns = {view: cells['rotation']['quarter_turns'] for view, cells in table.items()}
    assert torch.equal(shared[1, 0], turns['q'] == turns['k_0'])
    assert abs(shared[1, 2].float().mean() - 1 / 3) < 0.03, 'the false negatives of rotation: one in three'


def test_a_plug_in_gets_its_space(canvas, generator):
    class Negative(AtomicAugmentation):
        name = 'negative'

        def sample(self, batch_size, generator, image_size):
            return {'negate': torch.rand(batch_size, generator=generator) < 0.5}

        def apply(self, images, params):
            return torch.where(params['negate'][:, None, None, None], 1 - images, images)

    pipeline = LeaveOneOutPipeline([*ALL, Negative()])
    assert pipeline.spaces == ('invariant', 'rotation', 'color', 'negative')
    table = pipeline.sample(len(canvas), generator, (224, 224))
    assert pipeline.apply(canvas, table).shape[0] == 5
    assert torch.equal(table['q']['negative']['negate'], table['k_negative']['negative']['negate'])


def test_as_a_transform_of_one_image(photographs):
    """In a dataset's pipeline: BGR in, a list of BGR views out, the same views as of the RGB canvas."""
    pipeline = LeaveOneOutPipeline(ALL)
    photo = photographs[0]
    torch.manual_seed(0)
    results = pipeline(dict(img=np.ascontiguousarray(photo[..., ::-1])))
    torch.manual_seed(0)
    table = pipeline.sample(1, None, photo.shape[:2])
    expected = pipeline.apply(torch.from_numpy(photo).permute(2, 0, 1)[None], table)[:, 0]
    assert results['views'] == ('q', 'k_0', 'k_rotation', 'k_color')
    for ours, theirs in zip(results['img'], expected, strict=True):
        assert ours.dtype == np.uint8
        assert np.abs(ours[..., ::-1].transpose(2, 0, 1) / 255 - theirs.numpy()).max() <= 0.5 / 255 + 1e-6


def test_parameters_must_be_one_per_image(generator):
    class Short(AtomicAugmentation):
        """It fits the eight images that a pipeline tries it on, and no other number."""

        name = 'short'

        def sample(self, batch_size, generator, image_size):
            return {'by': torch.rand(8, generator=generator)}

        def apply(self, images, params):
            return images * params['by'][:, None, None, None]

    with pytest.raises(ValueError, match=r"'short' sampled parameters of lengths \{'by': 8\} where 10"):
        LeaveOneOutPipeline([Short()], leave_one_out=[]).sample(5, generator, (8, 8))


def test_rotation_before_the_crop_of_a_wide_picture_warns(generator):
    with pytest.warns(UserWarning, match='behind RandomResizedCrop'):
        LeaveOneOutPipeline([ALL[2], ALL[0]]).sample(2, generator, (30, 40))


def test_a_float32_matrix_fuses_with_others(canvas, generator):
    class Still(GeometricAugmentation):
        name = 'still'

        def sample(self, batch_size, generator, image_size):
            return {'number': torch.rand(batch_size, generator=generator)}

        def matrix(self, params):
            return torch.eye(3).expand(len(params['number']), 3, 3)

    pipeline = LeaveOneOutPipeline([ALL[0], Still()], leave_one_out=[])
    table = pipeline.sample(len(canvas), generator, (224, 224))
    expected = pipeline.augmentations[0].apply(canvas.float() / 255, table['q']['crop'])
    assert torch.allclose(pipeline.apply(canvas, table)[0], expected, atol=1e-5)


class Twin(GeometricAugmentation):
    name = 'color'

    def sample(self, batch_size, generator, image_size):
        return {}

    def matrix(self, params):
        return torch.eye(3)


@pytest.mark.parametrize(
    'augmentations, leave_one_out, message',
    [
        ([], None, 'no augmentations'),
        ([*ALL, Twin()], None, r"more than one augmentation is named \['color'\]"),
        (ALL, ['texture'], r"\['texture'\].*Allowed: \['rotation', 'color'\]"),
        (ALL, ['crop'], r"\['crop'\].*owns_space=True"),
        (ALL, 'color', r"write a list, \['color'\]"),
        (ALL, ['color', 'color'], 'twice'),
        ([type('Odd', (Twin,), {'name': 'invariant'})()], None, 'reserved'),
        ([type('Odd', (Twin,), {'name': 'a.b'})()], None, 'dot'),
        ([type('Odd', (Twin,), {'name': 'type'})()], None, 'ModuleDict'),
    ],
)
def test_wrong_lists_are_refused(augmentations, leave_one_out, message):
    with pytest.raises(ValueError, match=message):
        LeaveOneOutPipeline(augmentations, leave_one_out)
