"""What every atomic augmentation keeps: the contract, for each that is registered."""

import pytest
import torch

from looc_mm.augmentations import AtomicAugmentation, GeometricAugmentation, RandomResizedCrop
from looc_mm.registry import AUGMENTATIONS

AUGMENTATIONS.import_from_location()
TYPES = sorted(AUGMENTATIONS.module_dict)


@pytest.fixture(params=TYPES)
def augmentation(request) -> AtomicAugmentation:
    return AUGMENTATIONS.build(dict(type=request.param))


def test_all_of_the_paper_are_registered():
    assert {'RandomResizedCrop', 'HorizontalFlip', 'ColorJitter', 'GaussianBlur', 'RandomRightAngleRotation'} <= set(
        TYPES
    )


def test_replay_is_bitwise_and_draws_nothing(augmentation, images, generator):
    params = augmentation.sample(len(images), generator, (224, 224))
    before = images.clone()
    state = torch.get_rng_state()
    first, second = augmentation.apply(images, params), augmentation.apply(images, params)
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(images, before)


def test_sample_obeys_its_generator(augmentation):
    state = torch.get_rng_state()
    draws = [augmentation.sample(64, torch.Generator().manual_seed(seed), (224, 224)) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), state), 'draws from the global generator'
    assert all(torch.equal(draws[0][key], draws[1][key]) for key in draws[0])
    assert any(not torch.equal(draws[0][key], draws[2][key]) for key in draws[0])
    assert all(len(value) == 64 for value in draws[0].values())


def test_an_image_does_not_depend_on_its_batch(augmentation, images, generator):
    params = augmentation.sample(len(images), generator, (224, 224))
    together = augmentation.apply(images, params)
    for row in range(len(images)):
        alone = augmentation.apply(images[row : row + 1], {key: value[row : row + 1] for key, value in params.items()})
        assert torch.equal(alone[0], together[row])


def test_range_and_shape_are_kept(augmentation, images, generator):
    out = augmentation.apply(images, augmentation.sample(len(images), generator, (224, 224)))
    assert out.shape == images.shape
    assert 0 <= out.min() and out.max() <= 1


@pytest.mark.parametrize(
    'config',
    [
        dict(type='HorizontalFlip', prob=1.5),
        dict(type='RandomRightAngleRotation', prob=-0.1),
        dict(type='ColorJitter', hue=0.7),
        dict(type='ColorJitter', gray_prob=2),
        dict(type='GaussianBlur', sigma=(0, 1)),
        dict(type='RandomResizedCrop', scale=(0.5, 0.2)),
        dict(type='RandomResizedCrop', scale=(0.5, 1.2)),
    ],
)
def test_settings_out_of_range_are_refused(config):
    with pytest.raises(ValueError, match=config['type']):
        AUGMENTATIONS.build(config)


def test_a_plug_in_needs_no_more_than_sample_and_matrix(images, generator):
    class Shift(GeometricAugmentation):
        name = 'shift'

        def sample(self, batch_size, generator, image_size):
            return {'by': torch.randint(0, 5, (batch_size,), generator=generator)}

        def matrix(self, params):
            matrix = torch.eye(3, dtype=torch.float64).repeat(len(params['by']), 1, 1)
            matrix[:, 0, 2] = 2 * params['by'] / 224
            return matrix

    shift = Shift()
    params = shift.sample(len(images), generator, (224, 224))
    out = shift.apply(images, params)
    for image, moved, by in zip(images, out, params['by'].tolist(), strict=True):
        assert torch.allclose(moved[..., : 224 - by], image[..., by:], atol=1e-4)
    assert (
        RandomResizedCrop(size=32).apply(images, RandomResizedCrop().sample(8, generator, (224, 224))).shape[-1] == 32
    )
