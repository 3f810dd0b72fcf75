"""torchvision's transforms as atomic augmentations: 21 are accepted here, 31 refused."""

import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from looc_mm.augmentations import FromTorchvision
from looc_mm.registry import AUGMENTATIONS
from looc_mm.testing import check_augmentation
from looc_mm.views import LeaveOneOutPipeline

ACCEPTED = dict(
    ColorJitter=dict(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1, p=0.8),
    ElasticTransform={},
    GaussianBlur=dict(kernel_size=5),
    Grayscale=dict(num_output_channels=3, p=0.5),
    RandomAdjustSharpness=dict(sharpness_factor=2),
    RandomAffine=dict(degrees=30, translate=(0.1, 0.1)),
    RandomAutocontrast={},
    RandomChannelPermutation={},
    RandomCrop=dict(size=32),
    RandomEqualize={},
    RandomErasing={},
    RandomGrayscale=dict(p=0.5),
    RandomHorizontalFlip={},
    RandomInvert={},
    RandomPerspective={},
    RandomPhotometricDistort={},
    RandomPosterize=dict(bits=3),
    RandomResizedCrop=dict(size=32),
    RandomRotation=dict(degrees=30),
    RandomSolarize=dict(threshold=0.5),
    RandomVerticalFlip={},
)
IN_FORWARD = 'it draws and transforms at once, in its forward'
NOTHING = 'it leaves every image as it was'
REFUSED = dict(
    AugMix=({}, IN_FORWARD),
    AutoAugment=({}, IN_FORWARD),
    CenterCrop=(dict(size=32, p=0.5), 'it changes the size, so that no image can be left alone at p=0.5; give p=1'),
    ClampBoundingBoxes=({}, 'on float RGB images of .* it gave ValueError: For pure tensor inputs'),
    Compose=(dict(transforms=[]), IN_FORWARD),
    ConvertImageDtype=(dict(p=0.5), NOTHING),
    CutMix=(dict(num_classes=3), IN_FORWARD),
    FiveCrop=(dict(size=32), 'it makes a tuple of an image'),
    GaussianNoise=({}, 'it draws while it transforms, not before'),
    Identity=(dict(p=0.5), NOTHING),
    JPEG=(dict(quality=(5, 50)), 'it gave RuntimeError: .*uint8'),
    Lambda=(dict(lambd=lambda image: image * torch.rand(())), 'it draws while it transforms, not before'),
    LinearTransformation=(dict(transformation_matrix=torch.eye(3), mean_vector=torch.zeros(3)), 'incompatible shape'),
    MixUp=({}, IN_FORWARD),
    Normalize=(dict(mean=[0.5] * 3, std=[0.5] * 3), r'values in \[-1, 1\] from images in \[0, 1\]'),
    Pad=(dict(padding=3), r'it makes images of \(70, 62\) and \(150, 182\)'),
    RGB=(dict(p=0.5), NOTHING),
    RandAugment=({}, IN_FORWARD),
    RandomApply=(dict(transforms=[]), IN_FORWARD),
    RandomChoice=(dict(transforms=[]), IN_FORWARD),
    RandomIoUCrop=({}, 'No bounding boxes'),
    RandomOrder=(dict(transforms=[]), IN_FORWARD),
    RandomResize=(dict(min_size=30, max_size=60), 'the size of its results is drawn'),
    RandomShortestSize=(dict(min_size=30), 'it makes images of'),
    RandomZoomOut=({}, 'the size of its results is drawn'),
    Resize=(dict(size=(32, 32)), 'nothing is random at p=1'),
    ScaleJitter=(dict(target_size=(64, 64)), 'the size of its results is drawn'),
    TenCrop=(dict(size=32), 'it makes a tuple of an image'),
    ToImage=(dict(p=0.5), NOTHING),
    ToPILImage=({}, 'it makes a Image of an image'),
    TrivialAugmentWide=({}, IN_FORWARD),
)


@pytest.mark.parametrize('transform', ACCEPTED)
def test_accepted_ones_keep_the_contract(transform):
    check_augmentation(FromTorchvision(transform, **ACCEPTED[transform]), device='cpu')


@pytest.mark.parametrize('transform', REFUSED)
def test_refused_ones_are_named_with_the_reason(transform):
    settings, reason = REFUSED[transform]
    with pytest.raises(ValueError, match=f'^FromTorchvision cannot replay {transform}: .*{reason}'):
        FromTorchvision(transform, **settings)


def test_against_the_functional_ops(images, generator):
    small = images[..., :96, :80]
    rotation = FromTorchvision('RandomRotation', degrees=30, p=0.5)
    params = rotation.sample(8, generator, (96, 80))
    assert params['applied'].any() and not params['applied'].all()
    for image, out, applied, angle in zip(
        small, rotation.apply(small, params), params['applied'], params['angle'], strict=True
    ):
        assert torch.equal(out, F.rotate(image, float(angle)) if applied else image)
    erasing = FromTorchvision('RandomErasing', p=1)
    params = erasing.sample(8, generator, (96, 80))
    for row, out in enumerate(erasing.apply(small, params)):
        i, j, h, w = (int(params[key][row]) for key in 'ijhw')
        assert torch.equal(out, F.erase(small[row], i, j, h, w, torch.tensor(0.0)))


def test_the_same_draws_as_torchvision(images):
    """For one image, of the same state of torch's global generator."""
    jitter = FromTorchvision('ColorJitter', **ACCEPTED['ColorJitter'] | dict(p=1))
    params = jitter.sample(1, torch.Generator().manual_seed(0), (224, 224))
    generator = torch.Generator().manual_seed(0)
    torch.rand(1, generator=generator)  # the coin
    torch.manual_seed(int(torch.randint(2**32, (), generator=generator)))
    expected = v2.ColorJitter(0.4, 0.4, 0.4, 0.1)(images[0])
    assert torch.equal(jitter.apply(images[:1], params)[0], expected.clamp(0, 1))


def test_the_coin_is_ours():
    for settings, share in (({}, 0.5), (dict(p=0.2), 0.2)):
        applied = FromTorchvision('RandomInvert', **settings).sample(4000, torch.Generator(), (8, 8))['applied']
        assert abs(applied.float().mean() - share) < 0.03
    distort = FromTorchvision('RandomPhotometricDistort', p=0.9)  # of its steps
    assert distort.prob == 1 and distort.transform.p == 0.9
    given = distort.sample(1000, torch.Generator(), (8, 8))['given'].float().mean(0)
    assert abs(given[0] - 0.9) < 0.03 and given.max() == 1


def test_rare_gaps_are_recorded():
    """RandomErasing gives None where it found no box."""
    erasing = FromTorchvision('RandomErasing', scale=(0.8, 1.0), ratio=(0.5, 2), p=1)
    images = torch.rand(64, 3, 32, 32)
    params = erasing.sample(64, torch.Generator().manual_seed(0), (32, 32))
    found = params['given'][:, -1]
    out = erasing.apply(images, params)
    assert found.any() and not found.all()
    assert torch.equal(out[~found], images[~found]) and (out[found] == 0).flatten(1).any(1).all()


def test_in_a_pipeline(images, generator):
    pipeline = LeaveOneOutPipeline(
        [
            dict(type='RandomResizedCrop', size=48),
            dict(type='FromTorchvision', transform='RandomSolarize', threshold=0.5, p=0.5),
            dict(type='FromTorchvision', transform='RandomErasing', p=1, name='holes'),
            dict(type='FromTorchvision', transform='RandomHorizontalFlip', owns_space=False),
        ]
    )
    assert pipeline.spaces == ('invariant', 'solarize', 'holes')
    table = pipeline.sample(8, generator, (427, 640))
    views = pipeline.apply(images, table)
    assert views.shape == (4, 8, 3, 48, 48)
    assert torch.equal(views, pipeline.apply(images, table))
    assert all(torch.equal(value, table['k_holes']['holes'][key]) for key, value in table['q']['holes'].items())
    assert not torch.equal(table['q']['holes']['i'], table['k_solarize']['holes']['i'])


def test_pixels_belong_to_a_size(images, generator):
    affine = FromTorchvision('RandomAffine', degrees=0, translate=(0.2, 0.2))
    with pytest.raises(ValueError, match=r'pixels.*images of \[\[427, 640\]\].*\[224, 224\].*Put it behind a crop'):
        affine.apply(images, affine.sample(8, generator, (427, 640)))


def test_wrong_names_and_settings():
    with pytest.raises(ValueError, match="got transform='RandomSolarise'. Did you mean RandomSolarize.*Allowed are"):
        FromTorchvision('RandomSolarise')
    with pytest.raises(ValueError, match=r"RandomSolarize does not take .*thresold.*settings \['p', 'threshold'\]"):
        FromTorchvision('RandomSolarize', thresold=0.5)
    with pytest.raises(ValueError, match='prob=2'):
        FromTorchvision('RandomInvert', p=2)
    assert AUGMENTATIONS.get('FromTorchvision') is FromTorchvision
