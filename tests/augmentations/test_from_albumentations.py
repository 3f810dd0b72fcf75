"""albumentations' transforms as atomic augmentations: 56 are accepted here, 31 refused, two of them for a setting."""

import sys

import cv2
import numpy as np
import pytest
import torch

from looc_mm.augmentations import FromAlbumentations
from looc_mm.testing import check_augmentation
from looc_mm.views import LeaveOneOutPipeline

BY_DEFAULT = (
    'AdditiveNoise AutoContrast Blur CLAHE ChannelDropout ChannelShuffle ChromaticAberration ColorJitter Defocus '
    'Downscale ElasticTransform Emboss Equalize Erasing FancyPCA GaussNoise GlassBlur GridDistortion GridDropout '
    'HEStain HorizontalFlip HueSaturationValue ISONoise Illumination ImageCompression InvertImg MedianBlur '
    'Morphological MultiplicativeNoise OpticalDistortion Perspective PixelDropout PlanckianJitter '
    'PlasmaBrightnessContrast PlasmaShadow Posterize RGBShift RandomBrightnessContrast RandomGamma '
    'RandomGridShuffle RandomSnow RandomToneCurve Rotate SafeRotate SaltAndPepper Sharpen ShotNoise Solarize '
    'ToGray ToSepia UnsharpMask VerticalFlip'
)
ACCEPTED: dict[str, dict] = {
    **{name: {} for name in BY_DEFAULT.split()},
    'Affine': dict(rotate=(-20, 20)),
    'CoarseDropout': dict(num_holes_range=(2, 2)),
    'GaussianBlur': dict(blur_limit=(5, 5)),
    'RandomResizedCrop': dict(size=(32, 32)),
}
CONTAINER = 'it is no transform of an image, as containers are not'
SHAPE = 'has a shape that is drawn; fix it by a setting'
REFUSED = dict(
    Affine=({}, 'it leaves every image as it was'),
    AdvancedBlur=({}, SHAPE),
    BBoxSafeRandomCrop=({}, "KeyError: 'bboxes'"),
    BasicTransform=({}, 'it is a base class'),
    CenterCrop=(dict(height=32, width=32, p=0.5), 'it changes the size'),
    CoarseDropout3D=({}, "KeyError: 'volume'"),
    Compose=(dict(transforms=[]), CONTAINER),
    D4=({}, "its parameter 'group_element' is no number"),
    FDA=(dict(reference_images=[]), r"it needs \['fda_metadata'\] beside the image"),
    FromFloat=({}, 'torch.uint8 from'),
    GaussianBlur=({}, SHAPE),
    HistogramMatching=({}, r"it needs \['hm_metadata'\] beside the image"),
    MaskDropout=({}, r"it needs \['mask'\] beside the image"),
    Mosaic=({}, r"it needs \['mosaic_metadata'\] beside the image"),
    MotionBlur=({}, SHAPE),
    NoOp=({}, 'it leaves every image as it was'),
    Normalize=({}, 'it makes values in .* clip=True clips them'),
    OneOf=(dict(transforms=[]), CONTAINER),
    OverlayElements=({}, r"it needs \['overlay_metadata'\]"),
    PixelDistributionAdaptation=({}, r"it needs \['pda_metadata'\]"),
    RandomCropFromBorders=({}, 'the size of its results is drawn'),
    RandomFog=({}, 'its parameters are not the same ones every time'),
    RandomGravel=({}, SHAPE),
    RandomRotate90=({}, 'the size of its results is drawn'),
    RandomShadow=({}, 'its parameters are not the same ones every time'),
    RandomSunFlare=({}, 'its parameters are not the same ones every time'),
    Resize=(dict(height=32, width=32), 'nothing is random at p=1'),
    SomeOf=(dict(transforms=[]), CONTAINER),
    TextImage=(dict(font_path=''), r"it needs \['textimage_metadata'\]"),
    Transpose=({}, 'it makes images of'),
    ZoomBlur=({}, SHAPE),
)


@pytest.mark.parametrize('transform', ACCEPTED)
def test_accepted_ones_keep_the_contract(transform):
    check_augmentation(FromAlbumentations(transform, **ACCEPTED[transform]), device='cpu')


@pytest.mark.parametrize('transform', REFUSED)
def test_refused_ones_are_named_with_the_reason(transform):
    settings, reason = REFUSED[transform]
    with pytest.raises(ValueError, match=f'^FromAlbumentations cannot replay {transform}: .*{reason}'):
        FromAlbumentations(transform, **settings)


def test_against_the_functional_ops(images, generator):
    curve = FromAlbumentations('RandomGamma', gamma_limit=(50, 150))
    params = curve.sample(8, generator, (224, 224))
    assert params['applied'].any() and not params['applied'].all()
    for image, out, applied, gamma in zip(
        images, curve.apply(images, params), params['applied'], params['gamma'], strict=True
    ):
        assert (out - (image ** float(gamma) if applied else image)).abs().max() < 1e-6
    rotate = FromAlbumentations('Rotate', limit=30, p=1)
    params = rotate.sample(8, generator, (224, 224))
    for image, out, matrix in zip(images, rotate.apply(images, params), params['matrix'], strict=True):
        pixels = image.permute(1, 2, 0).contiguous().numpy()
        expected = cv2.warpAffine(pixels, matrix.numpy()[:2], (224, 224), flags=cv2.INTER_LINEAR)
        assert np.abs(out.permute(1, 2, 0).numpy() - expected).max() < 1e-5
    tone = FromAlbumentations('RandomToneCurve', p=1)
    import albumentations.augmentations.pixel.functional as fpixel  # not before: see FromAlbumentations._find

    params = tone.sample(8, generator, (224, 224))
    for image, out, low, high in zip(
        images, tone.apply(images, params), params['low_y'], params['high_y'], strict=True
    ):
        pixels = image.permute(1, 2, 0).contiguous().numpy()
        expected = fpixel.move_tone_curve(pixels, float(low), float(high))
        assert np.array_equal(out.permute(1, 2, 0).numpy(), expected.clip(0, 1))


def test_the_coin_is_ours():
    for settings, share in (({}, 0.5), (dict(p=0.2), 0.2)):
        params = FromAlbumentations('RandomGamma', **settings).sample(4000, torch.Generator(), (8, 8))
        assert abs(params['applied'].float().mean() - share) < 0.03
        assert (params['gamma'][~params['applied']] == 0).all()


def test_in_a_pipeline(images, generator):
    pipeline = LeaveOneOutPipeline(
        [
            dict(type='RandomResizedCrop', size=48),
            dict(type='FromAlbumentations', transform='RandomToneCurve', scale=0.2, p=1, name='tone'),
            dict(type='FromAlbumentations', transform='CoarseDropout', num_holes_range=[2, 2]),
        ]
    )
    assert pipeline.spaces == ('invariant', 'tone', 'coarse_dropout')
    table = pipeline.sample(8, generator, (427, 640))
    views = pipeline.apply(images, table)
    assert torch.equal(views, pipeline.apply(images, table))
    assert torch.equal(table['q']['tone']['low_y'], table['k_tone']['tone']['low_y'])


def test_wrong_names_and_settings():
    with pytest.raises(ValueError, match="got transform='RandomTone'. Did you mean RandomToneCurve"):
        FromAlbumentations('RandomTone')
    with pytest.raises(ValueError, match=r"Solarize does not take .*'threshold'.*threshold_range"):
        FromAlbumentations('Solarize', threshold=0.5)


def test_without_albumentations(monkeypatch):
    monkeypatch.setitem(sys.modules, 'albumentations', None)
    with pytest.raises(ImportError, match='FromAlbumentations needs albumentations.*pip install --no-deps'):
        FromAlbumentations('Solarize')
