"""What every atomic augmentation keeps: the contract, for each that is registered."""

import pytest
import torch

from looc_mm.augmentations import GeometricAugmentation, RandomResizedCrop
from looc_mm.registry import AUGMENTATIONS
from looc_mm.testing import check_augmentation

AUGMENTATIONS.import_from_location()
#: Our own that work on any picture; the others' contract is checked with what they need in their own tests.
TYPES = [
    'ColorJitter',
    'GaussianBlur',
    'HorizontalFlip',
    'RandomConvTexture',
    'RandomResizedCrop',
    'RandomRightAngleRotation',
]


def test_all_that_are_registered_are_known():
    elsewhere = {'FromAlbumentations', 'FromKornia', 'FromTorchvision', 'StylizedTexture'}
    ours = {name for name, kind in AUGMENTATIONS.module_dict.items() if kind.__module__.startswith('looc_mm.')}
    assert ours == {*TYPES, *elsewhere}


@pytest.mark.parametrize('name', TYPES)
def test_the_contract_is_kept_on_photographs(name, images):
    check_augmentation(AUGMENTATIONS.build(dict(type=name)), images)


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
