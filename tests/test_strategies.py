"""Each strategy's view table by property."""

import pytest
import torch

from looc_mm.augmentations import AtomicAugmentation
from looc_mm.augmentations.rotation import RandomRightAngleRotation
from looc_mm.views import LeaveOneOutPipeline

ALL = [
    dict(type='RandomResizedCrop', size=32),
    dict(type='RandomRightAngleRotation'),
    dict(type='ColorJitter'),
    dict(type='GaussianBlur'),
]
MANY = 2000
CHANCE = {'crop': 0.0, 'rotation': 1 / 3, 'color': 0.027, 'blur': 0.25}


def agreement(table: dict, left: str, right: str, name: str) -> float:
    """Share of the images on which two views have the same parameters of an augmentation."""
    pairs = [(table[left][name][key], table[right][name][key]) for key in table[left][name]]
    return torch.stack([(a == b).reshape(MANY, -1).all(1) for a, b in pairs]).all(0).float().mean().item()


@pytest.mark.parametrize('strategy', ['leave_one_out', 'independent'])
@pytest.mark.parametrize('same', [[], ['rotation'], ['blur', 'crop']])
def test_who_shares_what_with_the_query(strategy, same, generator):
    pipeline = LeaveOneOutPipeline(ALL, ['rotation', 'color'], strategy=strategy, same=same)
    table = pipeline.sample(MANY, generator, (64, 64))
    for key in pipeline.views[1:]:
        for name, chance in CHANCE.items():
            copied = name in same or (strategy == 'leave_one_out' and key == f'k_{name}')
            assert agreement(table, 'q', key, name) == pytest.approx(1 if copied else chance, abs=0 if copied else 0.05)


def test_add_one_augments_nothing_but_the_space_of_its_own_key(generator):
    pipeline = LeaveOneOutPipeline(ALL, ['rotation', 'color'], strategy='add_one')
    table = pipeline.sample(MANY, generator, (64, 64))
    for view in pipeline.views:
        turned = (table[view]['rotation']['quarter_turns'] != 0).float().mean().item()
        jittered = (table[view]['color']['factors'] != 1).any(1).float().mean().item()
        assert turned == pytest.approx(0.5 if view == 'k_rotation' else 0, abs=0.05)
        assert jittered == pytest.approx(0.8 if view == 'k_color' else 0, abs=0.05)
        assert table[view]['color']['gray'].any() == (view == 'k_color')
    assert agreement(table, 'q', 'k_0', 'crop') == 0, 'what has no space is drawn for every view'


def test_add_one_needs_parameters_that_leave_an_image_alone(generator):
    class Nameless(RandomRightAngleRotation):
        identity = AtomicAugmentation.identity

    with pytest.raises(NotImplementedError, match=r'Nameless does not say.*identity\(\)'):
        LeaveOneOutPipeline([Nameless()], strategy='add_one').sample(2, generator, (64, 64))


def test_keys_without_anything_shared_differ_among_themselves(generator):
    table = LeaveOneOutPipeline(ALL, strategy='independent').sample(MANY, generator, (64, 64))
    assert agreement(table, 'k_rotation', 'k_color', 'rotation') == pytest.approx(1 / 3, abs=0.05)
    assert agreement(table, 'k_rotation', 'k_color', 'crop') == 0


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(strategy='add_two'), r"strategy='add_two'; allowed are \['add_one', 'independent', 'leave_one_out'\]"),
        (dict(same=['texture']), r"same=\['texture'\].*'rotation', 'color'"),
        (dict(same='rotation'), "same='rotation'; it is a list"),
    ],
)
def test_unknown_names_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        LeaveOneOutPipeline(ALL, **arguments)
