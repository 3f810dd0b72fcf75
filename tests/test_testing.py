"""The checker: what keeps the contract passes, and each rule that is broken is named."""

import random
from inspect import signature

import numpy as np
import pytest
import torch

from looc_mm.augmentations import AtomicAugmentation, GeometricAugmentation
from looc_mm.augmentations.contract import QUICK, RULES, refuse_broken
from looc_mm.registry import AUGMENTATIONS
from looc_mm.testing import ContractError, check_augmentation, colourful
from looc_mm.views import LeaveOneOutPipeline

AUGMENTATIONS.import_from_location()
BAD = []
#: Those that need no argument; what wraps another library's transform is checked in its own test.
REGISTERED = [
    name
    for name, kind in sorted(AUGMENTATIONS.module_dict.items())
    if name != 'StylizedTexture'  # takes candidates beside the images, see tests/augmentations/test_stylized.py
    and all(each.default is not each.empty or each.kind > 1 for each in signature(kind).parameters.values())
]


class Shade(AtomicAugmentation):
    """Keeps the contract; the bad ones below change one thing each."""

    name = 'shade'

    def sample(self, batch_size, generator, image_size):
        return {'light': torch.rand(batch_size, generator=generator)}

    def apply(self, images, params):
        return images * params['light'].to(images.device)[:, None, None, None]


class Shift(GeometricAugmentation):
    """Keeps the contract too: a shift to the right."""

    name = 'shift'

    def sample(self, batch_size, generator, image_size):
        return {'number': torch.rand(batch_size, generator=generator)}

    def matrix(self, params):
        matrix = torch.eye(3).repeat(len(params['number']), 1, 1).double()
        matrix[:, 0, 2] = params['number']
        return matrix


def breaks(rule, got):
    return lambda kind: BAD.append(pytest.param(kind, rule, got, id=kind.__name__)) or kind


@breaks('declaration', "name = ''")
class Nameless(Shade):
    name = ''


@breaks('declaration', 'a name cannot hold a dot')
class Dotted(Shade):
    name = 'shade.dark'


@breaks('declaration', 'this name is reserved')
class Reserved(Shade):
    name = 'invariant'


@breaks('declaration', "owns_space = 'yes'")
class NotABool(Shade):
    owns_space = 'yes'


@breaks('parameters', 'Tensor tensor(')
class NoDict(Shade):
    def sample(self, *args):
        return super().sample(*args)['light']


@breaks('parameters', 'dict {}')
class NothingRecorded(Shade):
    def sample(self, *args):
        return {}


@breaks('parameters', "'light' is a list")
class Listed(Shade):
    def sample(self, *args):
        return {'light': super().sample(*args)['light'].tolist()}


@breaks('parameters', "'light' has shape (1,) for a batch of 8")
class OnePerBatch(Shade):
    def sample(self, batch_size, generator, image_size):
        return super().sample(1, generator, image_size)


@breaks('parameters', "'light' is on meta")
class OnADevice(Shade):
    def sample(self, *args):
        return {'light': super().sample(*args)['light'].to('meta')}


@breaks('parameters', 'ZeroDivisionError')
class Crashes(Shade):
    def sample(self, *args):
        return 1 / 0


@breaks('generator', "a draw from torch's global generator")
class GlobalTorch(Shade):
    def sample(self, batch_size, generator, image_size):
        return {'light': torch.rand(batch_size)}


@breaks('generator', "a draw from numpy's global generator")
class GlobalNumpy(Shade):
    def sample(self, batch_size, generator, image_size):
        return {'light': torch.from_numpy(np.random.rand(batch_size)).float()}


@breaks('generator', 'other parameters from a generator of the same seed')
class OwnGenerator(Shade):
    def sample(self, batch_size, generator, image_size):
        return {'light': torch.from_numpy(np.random.default_rng().random(batch_size)).float()}


@breaks('generator', 'the same parameters from generators of 9 different seeds')
class Constant(Shade):
    def sample(self, batch_size, generator, image_size):
        return {'light': torch.full((batch_size,), 0.5)}


@breaks('generator', 'other parameters from generator=None')
class OwnDefault(Shade):
    def sample(self, batch_size, generator, image_size):
        return super().sample(batch_size, generator or torch.Generator().manual_seed(7), image_size)


@breaks('image_sizes', 'other parameters from a pair')
class OnePairOnly(Shade):
    def sample(self, batch_size, generator, image_size):
        light = super().sample(batch_size, generator, image_size)['light']
        return {'light': light / 2 if isinstance(image_size, torch.Tensor) else light}


@breaks('image_sizes', 'output_size is (64, 32)')
class HalfWidth(Shade):
    def output_size(self, image_size):
        return torch.as_tensor(image_size) // 2 if isinstance(image_size, torch.Tensor) else (64, 32)


@breaks('result', 'shape (8, 3, 64, 32) where (8, 3, 64, 64) is expected')
class Narrow(Shade):
    def apply(self, images, params):
        return super().apply(images, params)[..., :32]


@breaks('result', 'torch.float64 from torch.float32')
class Double(Shade):
    def apply(self, images, params):
        return super().apply(images, params).double()


@breaks('result', 'values in [0, 1.')
class Bright(Shade):
    def apply(self, images, params):
        return images + super().apply(images, params)


@breaks('result', 'values that are not finite')
class Infinite(Shade):
    def apply(self, images, params):
        return super().apply(images, params).log()


@breaks('every_result', 'values that are not finite or not in [0, 1], in draw')
class RarelyNaN(Shade):
    def sample(self, batch_size, generator, image_size):
        light = super().sample(batch_size, generator, image_size)['light']
        return {'light': torch.where(torch.rand(batch_size, generator=generator) < 0.02, torch.nan, light)}


@breaks('result', 'shape (8, 1, 64, 64) where (8, 3, 64, 64) is expected')
class OneChannel(Shade):
    def apply(self, images, params):
        return super().apply(images, params).mean(1, keepdim=True)


@breaks('result', 'torch.uint8 from torch.float32')
class Bytes(Shade):
    def apply(self, images, params):
        return (255 * super().apply(images, params)).byte()


@breaks('effect', 'no image changes by more than 0.001 in 8 draws of 8 images')
class Nothing(Shade):
    def apply(self, images, params):
        return (images + 1e-6 * params['light'][:, None, None, None]).clamp(0, 1)


@breaks('reads_the_images', 'the same images from the negatives of the images')
class Blank(Shade):
    def apply(self, images, params):
        return params['light'][:, None, None, None].expand(images.shape).contiguous()


@breaks('result', 'SystemExit: 0')
class Leaves(Shade):
    def apply(self, images, params):
        raise SystemExit(0)


@breaks('apply_draws_nothing', "a draw from random's global generator")
class CoinInApply(Shade):
    def apply(self, images, params):
        return super().apply(images, params) if random.random() < 0.5 else images


@breaks('pure', 'images changed in place')
class InPlace(Shade):
    def apply(self, images, params):
        return images.mul_(params['light'][:, None, None, None])


@breaks('pure', 'parameters changed in place')
class Consumes(Shade):
    def apply(self, images, params):
        return super().apply(images, {'light': params.pop('light')})


@breaks('replay', 'images that differ by up to')
class NoiseInApply(Shade):
    def apply(self, images, params):
        return super().apply(images, params) * np.random.default_rng().random()


@breaks('coin_flip_recorded', 'after another call of sample, images that differ')
class CoinOnSelf(Shade):
    def sample(self, batch_size, generator, image_size):
        self.flip = torch.rand(1, generator=generator) < 0.5
        return super().sample(batch_size, generator, image_size)

    def apply(self, images, params):
        return super().apply(images, params) if self.flip else images


@breaks('json_round_trip', 'TypeError')
class Complex(Shade):
    def sample(self, *args):
        return {'light': super().sample(*args)['light'].to(torch.complex64)}

    def apply(self, images, params):
        return super().apply(images, {'light': params['light'].real})


@breaks('any_batch', 'image 0 alone')
class ByTheMean(Shade):
    def apply(self, images, params):
        return super().apply(images, params) * images.mean()


@breaks('any_batch', 'turned round')
class ByTheNeighbour(Shade):
    def apply(self, images, params):
        return super().apply(images, params) * (1 if params['light'][0] > params['light'][-1] else 0.5)


@breaks('matrix', 'shape (8, 3, 3), torch.int64')
class Whole(Shift):
    def matrix(self, params):
        return super().matrix(params).long()


@breaks('matrix', 'shape (8, 2, 3)')
class Affine(Shift):
    def matrix(self, params):
        return super().matrix(params)[:, :2]


@breaks('matrix', 'not finite')
class Singular(Shift):
    def matrix(self, params):
        return super().matrix(params) / 0


@breaks('identity', 'images changed by up to 1')
class DarkIdentity(Shade):
    def identity(self, batch_size):
        return {'light': torch.zeros(batch_size)}


@breaks('identity', "{'light': ((8,), torch.int64)} where sample gives {'light': ((8,), torch.float32)}")
class WholeIdentity(Shade):
    def identity(self, batch_size):
        return {'light': torch.ones(batch_size, dtype=torch.int64)}


@breaks('identity', "{'shade': ((8,), torch.float32)} where")
class OtherIdentity(Shade):
    def identity(self, batch_size):
        return {'shade': torch.ones(batch_size)}


@breaks('channels', '3 channels from 1; 3 channels from 5')
class ThreeOfAny(Shade):
    all_channels = True

    def apply(self, images, params):
        return super().apply(images.mean(1, keepdim=True).repeat(1, 3, 1, 1), params)


@breaks('devices', 'meta')
class ForgetsTheDevice(Shade):
    def apply(self, images, params):
        return images * params['light'][:, None, None, None]


@pytest.mark.parametrize('type_name', REGISTERED)
def test_all_that_are_registered_keep_the_contract_on_photographs(type_name, images):
    check_augmentation(AUGMENTATIONS.build(dict(type=type_name)), images, seed=1)


class Lit(Shade):
    """Gives the parameters that leave an image alone."""

    def identity(self, batch_size):
        return {'light': torch.ones(batch_size)}


class Aligned(Shift):
    """Samples bilinearly at the pixels' own places, which a rounding error may miss."""

    def identity(self, batch_size):
        return {'number': torch.zeros(batch_size)}


class Thumbnail(Aligned):
    """No parameters keep an image that leaves in another size."""

    def output_size(self, image_size):
        return (32, 32)


@pytest.mark.parametrize('kind', [Shade, Shift, Lit, Aligned, Thumbnail])
def test_the_good_ones_keep_the_contract(kind):
    check_augmentation(kind(), device='cpu')


@pytest.mark.parametrize('kind, rule, got', BAD)
def test_a_broken_rule_is_named(kind, rule, got):
    with pytest.raises(ContractError, match=f'^{kind.__name__} breaks the contract') as raised:
        check_augmentation(kind(), device='meta' if rule == 'devices' else None)
    lines = str(raised.value).splitlines()
    named = next(index for index, line in enumerate(lines) if line.startswith(f'- {rule}: '))
    assert got in '\n'.join(lines[named + 1 :]).split('\n- ')[0]


def test_every_rule_is_broken_by_one():
    assert {parameter.values[1] for parameter in BAD} == {rule.__name__ for rule in RULES}


@pytest.mark.parametrize(
    'kind, rule, got', [case for case in BAD if case.values[1] in {each.__name__ for each in QUICK}]
)
def test_a_pipeline_refuses_what_cannot_be_trained_with(kind, rule, got):
    if got in ('ZeroDivisionError', 'SystemExit: 0'):
        return  # the training itself ends
    with pytest.raises(ValueError, match='cannot be trained with') as raised:
        LeaveOneOutPipeline([kind()])
    assert f'- {rule}: ' in str(raised.value) and got in str(raised.value)


def test_a_pipeline_tries_an_augmentation_once(monkeypatch):
    calls = []

    class Counted(Shade):
        def apply(self, images, params):
            calls.append(len(images))
            return super().apply(images, params)

    refuse_broken(Counted())
    first = len(calls)
    LeaveOneOutPipeline([Counted()])
    assert first and len(calls) == first


def test_all_broken_rules_are_told_at_once_and_a_crash_once():
    class Many(Shade):
        name = 'very.bad'

        def sample(self, batch_size, generator, image_size):
            return {'light': torch.rand(batch_size)}

        def apply(self, images, params):
            raise RuntimeError('no such thing')

    with pytest.raises(ContractError) as raised:
        check_augmentation(Many())
    assert [line.split(':')[0] for line in str(raised.value).splitlines() if line.startswith('- ')] == [
        '- declaration',
        '- generator',
        '- image_sizes',
        '- result',
    ]


def test_the_default_images_are_colourful():
    images = colourful()
    assert images.shape == (8, 3, 64, 64)
    assert (images.amin((2, 3)) == 0).all() and (images.amax((2, 3)) == 1).all()
    assert images.std(1).mean() > 0.1, 'colour, not gray'
    assert images.diff(dim=-1).abs().max() < 0.25, 'smooth'


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no CUDA device')
@pytest.mark.parametrize('type_name', REGISTERED)
def test_a_cuda_device_agrees(type_name):
    check_augmentation(AUGMENTATIONS.build(dict(type=type_name)), device='cuda')
