"""kornia's augmentations as atomic ones: 43 are accepted here, 20 refused, two of them for a setting."""

import sys

import pytest
import torch

from looc_mm.augmentations import FromKornia
from looc_mm.testing import check_augmentation
from looc_mm.views import LeaveOneOutPipeline

kornia = pytest.importorskip('kornia', '0.9', reason='kornia 0.9 needs Python 3.11')

JITTER = dict(brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
BOUNDS = torch.tensor([-0.3, 0.3])
ACCEPTED = dict(
    ColorJiggle=JITTER,
    ColorJitter=JITTER | dict(p=0.8),
    RandomAffine=dict(degrees=30.0, translate=(0.1, 0.1)),
    RandomAutoContrast=dict(p=0.5),
    RandomBoxBlur={},
    RandomBrightness=dict(brightness=(0.5, 1.5)),
    RandomChannelShuffle={},
    RandomClahe={},
    RandomContrast=dict(contrast=(0.5, 1.5)),
    RandomCrop=dict(size=(32, 32)),
    RandomElasticTransform={},
    RandomEqualize={},
    RandomErasing={},
    RandomFisheye=dict(center_x=BOUNDS, center_y=BOUNDS, gamma=1 + BOUNDS),
    RandomGamma=dict(gamma=(0.5, 2.0)),
    RandomGaussianBlur=dict(kernel_size=(3, 3), sigma=(0.1, 2.0)),
    RandomGaussianIllumination={},
    RandomGaussianNoise=dict(std=0.1, clip=True),
    RandomGrayscale=dict(p=0.5),
    RandomHorizontalFlip={},
    RandomHue=dict(hue=(-0.1, 0.1)),
    RandomInvert={},
    RandomJPEG=dict(jpeg_quality=(10.0, 90.0)),
    RandomLinearCornerIllumination={},
    RandomLinearIllumination={},
    RandomMedianBlur={},
    RandomMotionBlur=dict(kernel_size=5, angle=35.0, direction=0.5),
    RandomPerspective={},
    RandomPlanckianJitter={},
    RandomPlasmaShadow={},
    RandomPosterize={},
    RandomRGBShift={},
    RandomResizedCrop=dict(size=(32, 32)),
    RandomRotation=dict(degrees=30.0),
    RandomRotation90=dict(times=(1, 3)),
    RandomSaltAndPepperNoise={},
    RandomSaturation=dict(saturation=(0.5, 1.5)),
    RandomSharpness={},
    RandomShear=dict(shear=10.0),
    RandomSolarize={},
    RandomThinPlateSpline={},
    RandomTranslate=dict(translate_x=(-0.1, 0.1)),
    RandomVerticalFlip={},
)
NO_SINGLE = 'it is no augmentation of single images'
REFUSED = dict(
    AugmentationBase2D=({}, 'it is a base class'),
    AugmentationSequential=({}, NO_SINGLE),
    CenterCrop=(dict(size=32, p=0.5), 'it changes the size, so that no image can be left alone at p=0.5'),
    ImageSequential=({}, NO_SINGLE),
    LongestMaxSize=(dict(max_size=32), 'it makes images of'),
    Normalize=(dict(mean=torch.zeros(3), std=torch.ones(3)), 'it leaves every image as it was'),
    PadTo=(dict(size=(400, 400)), 'nothing is random at p=1'),
    PatchSequential=({}, NO_SINGLE),
    RandomAffine3D=({}, NO_SINGLE),
    RandomChannelDropout=({}, 'its parameters point at other images of the batch'),
    RandomCutMixV2=({}, NO_SINGLE),
    RandomGaussianNoise=({}, 'it makes values in .*clip=True clips them'),
    RandomJigsaw=({}, NO_SINGLE),
    RandomMixUpV2=({}, NO_SINGLE),
    RandomMosaic=({}, NO_SINGLE),
    RandomMotionBlur=(dict(kernel_size=(3, 9), angle=35.0, direction=0.5), 'alone than in its batch'),
    RandomRain=(dict(drop_height=(5, 10), drop_width=(1, 3), number_of_drops=(10, 20)), 'a shape that is drawn'),
    Resize=(dict(size=(32, 32)), 'nothing is random at p=1'),
    SmallestMaxSize=(dict(max_size=32), 'it makes images of'),
    VideoSequential=({}, NO_SINGLE),
)


@pytest.mark.parametrize('transform', ACCEPTED)
def test_accepted_ones_keep_the_contract(transform):
    check_augmentation(FromKornia(transform, **ACCEPTED[transform]), device='cpu')


@pytest.mark.parametrize('transform', REFUSED)
def test_refused_ones_are_named_with_the_reason(transform):
    settings, reason = REFUSED[transform]
    with pytest.raises(ValueError, match=f'^FromKornia cannot replay {transform}: .*{reason}'):
        FromKornia(transform, **settings)


def test_against_the_functional_ops(images, generator):
    solarize = FromKornia('RandomSolarize')
    params = solarize.sample(8, generator, (224, 224))
    applied = params['applied']
    assert applied.any() and not applied.all()
    expected = kornia.enhance.solarize(images, params['thresholds'], params['additions'])
    assert torch.equal(solarize.apply(images, params), torch.where(applied[:, None, None, None], expected, images))
    blur = FromKornia('RandomGaussianBlur', kernel_size=(5, 5), sigma=(0.1, 2.0), p=1)
    params = blur.sample(8, generator, (224, 224))
    sigma = params['sigma'][:, None].expand(-1, 2)
    expected = kornia.filters.gaussian_blur2d(images, (5, 5), sigma)
    assert (blur.apply(images, params) - expected).abs().max() < 1e-5


def test_the_order_of_the_jitter_is_drawn_for_groups_and_obeyed_for_each_image(generator):
    """Steps of kornia in the recorded order, one image at a time."""
    jitter = FromKornia('ColorJitter', **JITTER)
    images = torch.rand(40, 3, 16, 16, generator=generator)
    params = jitter.sample(40, generator, (16, 16))
    assert len(params['order'].unique(dim=0)) > 5
    out = jitter.apply(images, params)
    for row, image in enumerate(images):
        factors = {key: params[f'{key}_factor'][row] for key in ('brightness', 'contrast', 'saturation', 'hue')}
        steps = (
            lambda x, f=factors: kornia.enhance.adjust_brightness_accumulative(x, f['brightness']),
            lambda x, f=factors: kornia.enhance.adjust_contrast_with_mean_subtraction(x, f['contrast']),
            lambda x, f=factors: kornia.enhance.adjust_saturation_with_gray_subtraction(x, f['saturation']),
            lambda x, f=factors: kornia.enhance.adjust_hue(x, f['hue'] * 2 * torch.pi),
        )
        expected = image[None]
        for step in params['order'][row]:
            expected = steps[step](expected)
        assert (out[row] - expected[0].clamp(0, 1)).abs().max() < 1e-4


def test_the_coin_is_ours():
    for settings, share in (({}, 0.5), (dict(p=0.2), 0.2)):
        params = FromKornia('RandomPosterize', **settings).sample(4000, torch.Generator(), (8, 8))
        assert abs(params['applied'].float().mean() - share) < 0.03
        assert (params['bits_factor'][~params['applied']] == 0).all()


def test_in_a_pipeline(images, generator):
    pipeline = LeaveOneOutPipeline(
        [
            dict(type='RandomResizedCrop', size=48),
            dict(type='FromKornia', transform='RandomPlanckianJitter', mode='CIED'),
            dict(type='FromKornia', transform='RandomTranslate', translate_x=(-0.2, 0.2)),
        ]
    )
    assert pipeline.spaces == ('invariant', 'planckian_jitter', 'translate')
    table = pipeline.sample(8, generator, (427, 640))
    views = pipeline.apply(images, table)
    assert torch.equal(views, pipeline.apply(images, table))
    assert torch.equal(table['q']['translate']['translate_x'], table['k_translate']['translate']['translate_x'])


def test_pixels_are_of_one_size():
    with pytest.raises(ValueError, match=r'RandomTranslate.*pixels.*\[\[32, 32\], \[64, 32\]\]'):
        FromKornia('RandomTranslate', translate_x=(-0.1, 0.1), p=1).sample(2, None, torch.tensor([[64, 32], [32, 32]]))


@pytest.mark.parametrize('setting', [dict(same_on_batch=True), dict(keepdim=True), dict(p_batch=0.5)])
def test_settings_that_tie_images_together_are_refused(setting):
    with pytest.raises(ValueError, match=f'RandomInvert does not take .*{next(iter(setting))}'):
        FromKornia('RandomInvert', **setting)


def test_without_kornia(monkeypatch):
    monkeypatch.setitem(sys.modules, 'kornia.augmentation', None)
    with pytest.raises(ImportError, match='FromKornia needs kornia.*pip install kornia'):
        FromKornia('RandomInvert')


def test_a_crop_larger_than_the_first_probe():
    assert FromKornia('RandomCrop', size=(224, 224)).output_size((256, 256)) == (224, 224)


def test_unknown_names():
    with pytest.raises(ValueError, match="got transform='ColourJitter'. Did you mean ColorJitter"):
        FromKornia('ColourJitter')
