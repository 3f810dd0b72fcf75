"""What every atomic augmentation keeps: the contract, for each that is registered."""

import pytest
import torch

from looc_mm.augmentations import AtomicAugmentation, GeometricAugmentation, RandomResizedCrop
from looc_mm.registry import AUGMENTATIONS
from looc_mm.testing import check_augmentation
from looc_mm.views import LeaveOneOutPipeline

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


class Tilt(GeometricAugmentation):
    """A perspective: one side of the picture is nearer."""

    name = 'tilt'

    def sample(self, batch_size, generator, image_size):
        return {'tilt': 0.3 + 0.3 * torch.rand(batch_size, generator=generator)}

    def matrix(self, params):
        matrix = torch.eye(3, dtype=torch.float64).repeat(len(params['tilt']), 1, 1)
        matrix[:, 2, 0] = params['tilt']
        return matrix


def test_a_perspective_divides_by_the_third_coordinate(images, generator):
    small = images[:2, :, :40, :48]
    params = Tilt().sample(2, generator, (40, 48))
    got = Tilt().apply(small, params)
    for image, tilt, out in zip(small, params['tilt'].tolist(), got, strict=True):
        for row in range(40):
            for column in range(48):
                x, y = (2 * column + 1) / 48 - 1, (2 * row + 1) / 40 - 1
                depth = 1 + tilt * x
                source_x, source_y = (x / depth + 1) * 48 / 2 - 0.5, (y / depth + 1) * 40 / 2 - 0.5
                source_x, source_y = min(max(source_x, 0), 47), min(max(source_y, 0), 39)
                left, top = min(int(source_x), 46), min(int(source_y), 38)
                across, down = source_x - left, source_y - top
                corners = image[:, top : top + 2, left : left + 2]
                weights = torch.tensor([[1 - down], [down]]) * torch.tensor([[1 - across, across]])
                expected = (corners * weights).sum((1, 2))
                torch.testing.assert_close(out[:, row, column], expected, atol=1e-4, rtol=0)


def test_a_perspective_is_fused_with_its_neighbours(images, generator):
    class Turn(Tilt):
        name = 'turn'

        def matrix(self, params):
            turn = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=torch.float64)
            return turn.expand(len(params['tilt']), 3, 3)

    pipeline = LeaveOneOutPipeline([Tilt(), Turn()], leave_one_out=[])
    canvas = images[:2, :, :64, :64]
    table = pipeline.sample(2, generator, (64, 64))
    views = pipeline.apply(canvas, table)
    first = Tilt().apply(canvas, table['q']['tilt'])
    torch.testing.assert_close(views[0], first.rot90(1, (2, 3)), atol=1e-4, rtol=0)


def test_the_contract_holds_for_a_perspective(images):
    check_augmentation(Tilt(), images)


@pytest.mark.parametrize('name', TYPES)
def test_words_are_one_text_per_image_and_empty_where_it_is_left_alone(name, generator):
    augmentation = AUGMENTATIONS.build(dict(type=name))
    params = augmentation.sample(64, generator, (64, 64))
    texts = augmentation.words(params)
    assert len(texts) == 64 and any(texts)
    try:
        assert augmentation.words(augmentation.identity(3)) == ['', '', '']
    except NotImplementedError:
        assert name in {'GaussianBlur', 'HorizontalFlip', 'RandomResizedCrop'}


@pytest.mark.parametrize(
    'name, params, expected',
    [
        ('RandomRightAngleRotation', {'quarter_turns': torch.tensor([0, 1, 3])}, ['', '90°', '270°']),
        ('HorizontalFlip', {'flip': torch.tensor([True, False])}, ['flip', '']),
        ('GaussianBlur', {'sigma': torch.tensor([0.0, 1.25])}, ['', 'blur 1.2 px']),
        ('RandomResizedCrop', {'box': torch.tensor([[0.1, 0.2, 0.62, 0.48]])}, ['crop 62 x 48 %']),
        (
            'ColorJitter',
            {
                'factors': torch.tensor([[1.2, 1.0, 0.6], [1.0, 1.0, 1.0]]),
                'hue': torch.tensor([0.1, -0.25]),
                'order': torch.arange(4).repeat(2, 1),
                'gray': torch.tensor([False, True]),
            },
            ['brightness x1.20, saturation x0.60, hue +0.10', 'hue -0.25, gray'],
        ),
    ],
)
def test_words_name_the_parameters(name, params, expected):
    assert AUGMENTATIONS.build(dict(type=name)).words(params) == expected


def test_a_plug_in_without_words_shows_its_parameters():
    class Shade(AtomicAugmentation):
        name = 'shade'

        def sample(self, batch_size, generator, image_size):
            return {'depth': torch.tensor([0.25, 0.0]), 'mask': torch.ones(2, 3, 3)}

        def identity(self, batch_size):
            return {'depth': torch.zeros(batch_size), 'mask': torch.ones(batch_size, 3, 3)}

        def apply(self, images, params):
            return images

    shade = Shade()
    assert shade.words(shade.sample(2, None, (8, 8))) == ['shade depth 0.25', '']
