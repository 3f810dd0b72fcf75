"""What the adapters share: numbers as columns, and the rules that no transform of the libraries happens to break."""

import random

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from looc_mm.augmentations import FromTorchvision
from looc_mm.augmentations.columns import Columns, Refusal
from looc_mm.augmentations.replay import space_name

CPU = torch.device('cpu')
TREES = [
    dict(a=1, b=0.1, c=None, d=(1, 2), e=dict(f=True, g='mode'), h=[[1.5, 2.5], None], i=torch.rand(2), j=np.ones(2)),
    dict(a=2, b=0, c=2.5, d=(3, 4), e=dict(f=False, g='mode'), h=[[0.1, 1e-9], 'x'], i=torch.rand(2), j=np.zeros(2)),
]
TREES[1]['h'][1] = None


def test_columns_give_back_what_they_got():
    columns = Columns(TREES)
    encoded = columns.encode(TREES)
    assert set(encoded) == {'a', 'b', 'c', 'd', 'e.f', 'h.0', 'i', 'j', 'given'}
    assert all(len(value) == 2 for value in encoded.values())
    for tree, back in zip(TREES, columns.decode(encoded, 2, CPU), strict=True):
        assert torch.equal(tree.pop('i'), back.pop('i'))
        assert np.array_equal(tree.pop('j'), back.pop('j'))
        assert tree == back
        assert type(back['a']) is int and type(back['d']) is tuple and type(back['e']['f']) is bool


@pytest.mark.parametrize(
    'tree, why',
    [
        (dict(a=1), 'not the same ones'),
        (dict(a=1, b='two'), "'b' is no number"),
        (dict(a=[1, 2], b='one'), "'a' has a shape that is drawn"),
    ],
)
def test_columns_refuse(tree, why):
    with pytest.raises(Refusal, match=why):
        Columns([dict(a=1, b='one'), tree])
    columns = Columns([dict(a=1, b='one')])
    with pytest.raises(Refusal):
        columns.encode([dict(a=1, b='one'), tree])


def test_names():
    names = ['RandomRGBShift', 'ColorJitter', 'CLAHE', 'RandomJPEG', 'D4', 'RandomHorizontalFlip', 'HEStain']
    assert [space_name(name) for name in names] == [
        'rgb_shift', 'color_jitter', 'clahe', 'jpeg', 'd4', 'horizontal_flip', 'he_stain',
    ]  # fmt: skip


class Fake(v2.Transform):
    """Keeps the contract; the ones below change one thing each."""

    def make_params(self, flat_inputs):
        return dict(light=float(torch.rand(())))

    def transform(self, inpt, params):
        return inpt * params['light']


class FromNumpy(Fake):
    def make_params(self, flat_inputs):
        return dict(light=np.random.rand() + random.random() / 2 - 0.5)


class OwnSource(Fake):
    source = np.random.default_rng(0)

    def make_params(self, flat_inputs):
        return dict(light=float(self.source.random()))


class Content(Fake):
    def make_params(self, flat_inputs):
        return dict(light=float(torch.rand(())) * float(flat_inputs[0].mean()))


class NumpyInTransform(Fake):
    def transform(self, inpt, params):
        return inpt * np.random.rand()


class Remembers(Fake):
    def make_params(self, flat_inputs):
        self.light = float(torch.rand(()))
        return dict(light=self.light)

    def transform(self, inpt, params):
        return inpt * self.light


class Clash(Fake):
    def make_params(self, flat_inputs):
        return dict(applied=float(torch.rand(())))

    def transform(self, inpt, params):
        return inpt * params['applied']


class NaN(Fake):
    def transform(self, inpt, params):
        return inpt * torch.nan


class Typed(Fake):
    def make_params(self, flat_inputs):
        return dict(mode='high' if torch.rand(()) < 0.5 else 'low')


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    for kind in (Fake, *Fake.__subclasses__()):
        monkeypatch.setattr(v2, kind.__name__, kind, raising=False)


@pytest.mark.parametrize(
    'transform, why',
    [
        ('OwnSource', 'it draws from a random source of its own'),
        ('Content', 'what it draws depends on what the image shows'),
        ('NumpyInTransform', 'it draws while it transforms'),
        ('Remembers', 'it gives another image when it is applied again'),
        ('Clash', r"its parameters \['applied'\] have names that are taken"),
        ('NaN', 'it makes values in'),
        ('Typed', "its parameter 'mode' is no number"),
    ],
)
def test_every_reason_has_its_words(transform, why):
    with pytest.raises(ValueError, match=f'^FromTorchvision cannot replay {transform}: {why}'):
        FromTorchvision(transform)


@pytest.mark.parametrize('transform', ['Fake', 'FromNumpy'])
def test_global_sources_are_seeded_by_the_generator_and_left_alone(transform):
    fake = FromTorchvision(transform, p=0.5)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    one, two, other = (fake.sample(16, torch.Generator().manual_seed(seed), (8, 8))['light'] for seed in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1]) and random.getstate() == before[2]


def test_identity_is_what_the_coin_leaves_alone():
    erasing = FromTorchvision('RandomErasing', p=0.5)
    params = erasing.sample(64, torch.Generator().manual_seed(0), (32, 32))
    alone = ~params['applied']
    identity = erasing.identity(int(alone.sum()))
    assert identity.keys() == params.keys()
    assert all(torch.equal(params[key][alone], value) for key, value in identity.items())
    images = torch.rand(len(identity['applied']), 3, 32, 32)
    assert torch.equal(erasing.apply(images, identity), images)


def test_identity_has_limits():
    with pytest.raises(NotImplementedError, match="RandomCrop changes the image's size"):
        FromTorchvision('RandomCrop', size=8).identity(2)
    with pytest.raises(NotImplementedError, match='ElasticTransform has parameters of a shape'):
        FromTorchvision('ElasticTransform').identity(2)


def test_a_fixed_size_is_told():
    crop = FromTorchvision('RandomCrop', size=(8, 12))
    assert crop.output_size((32, 32)) == (8, 12)
    assert crop.output_size(torch.full((3, 2), 32)).tolist() == [[8, 12]] * 3
    assert FromTorchvision('RandomCrop', size=224).output_size((256, 256)) == (224, 224), 'larger than the first probe'


def test_without_a_space_nothing_need_be_random():
    fixed = FromTorchvision('RandomEqualize', p=1, owns_space=False)
    assert fixed.sample(4, None, (8, 8))['applied'].all() and not fixed.owns_space
    with pytest.raises(ValueError, match='RandomEqualize: nothing is random at p=1'):
        FromTorchvision('RandomEqualize', p=1)
    with pytest.raises(ValueError, match='RandomEqualize: nothing is random at p=0'):
        FromTorchvision('RandomEqualize', p=0)


def test_it_says_what_it_is():
    assert 'RandomSolarize' in repr(FromTorchvision('RandomSolarize', threshold=0.5))
