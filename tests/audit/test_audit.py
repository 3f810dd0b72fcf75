"""The whole audit, on features whose knowledge is known."""

import json
import math

import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.utils.data import Dataset

from looc_mm.audit import Network, audit, draw_audit, load_networks, of_model, write
from looc_mm.audit.audit import broken
from looc_mm.audit.report import CONTROL, PIXELS, RANDOM, SHUFFLED
from looc_mm.audit.tell import Value
from looc_mm.augmentations import AtomicAugmentation, HorizontalFlip
from looc_mm.registry import PROTOCOLS

from ..evaluation.fake import FakeModel


class Mark(AtomicAugmentation):
    """Writes its parameter into one pixel of the first row."""

    def __init__(self, name, column):
        self.name, self.column = name, column

    def sample(self, batch_size, generator, image_size):
        return {'value': torch.rand(batch_size, generator=generator)}

    def apply(self, images, params):
        images = images.clone()
        images[:, :, 0, self.column] = params['value'][:, None]
        return images


class Noise(Dataset):
    def __init__(self, count=160):
        draw = torch.Generator().manual_seed(0)
        self.images = torch.randint(0, 256, (count, 3, 12, 12), generator=draw).byte()

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return {'inputs': self.images[index]}


def of_parameters(module, images):
    """V knows the first mark, Z_second the second one, Z_none only the picture, Z_constant nothing."""
    first, second = ((2 * math.pi * images[:, 0, 0, column])[:, None] for column in (0, 1))
    both = {name: torch.cat([each.cos(), each.sin()], 1) for name, each in (('V', first), ('Z_second', second))}
    picture = images[:, :, 4:].flatten(1)[:, :8]
    return {**both, 'Z_none': picture, 'Z_constant': torch.full((len(images), 4), 0.3)}


def network(name='known', encode=of_parameters):
    return Network(name, nn.Linear(1, 1), encode, lambda module, images: images, lambda: nn.Linear(1, 1))


@pytest.fixture(scope='module')
def found():
    augmentations = [Mark('first', 0), Mark('second', 1)]
    return audit([network()], Noise(), augmentations, control=network('c'), gallery=20, hit_pictures=30, batch_size=50)


def test_features_made_of_the_parameters_know_them(found):
    for row, name in (('V', 'first'), ('Z_second', 'second')):
        cell = found.cell(row, name)
        assert cell.cosine.value == 1 and cell.probe.value > 0.9 and cell.hit.value == 1
        assert cell.raw.value < 0.3


def test_other_features_are_at_chance(found):
    for row, name in (('V', 'second'), ('Z_second', 'first'), ('Z_none', 'first'), ('Z_none', 'second')):
        cell = found.cell(row, name)
        assert cell.cosine.low <= 0.53 and cell.cosine.high >= 0.47 and cell.hit.value < 0.3
        assert abs(cell.probe.value - 0.5) < 0.15
        assert cell.r2.value < 0.05
    assert found.cell('Z_none', 'first').raw.value == pytest.approx(1)


def test_constant_features_are_at_chance_with_a_message(found):
    cell = found.cell('Z_constant', 'first')
    assert cell.cosine == (0.5, 0.5, 0.5) and cell.probe == (0.5, 0.5, 0.5) and cell.hit.value == pytest.approx(1 / 20)
    assert found.constant == ['Z_constant']
    assert 'Z_constant is constant: its features are the same for all pictures' in found.table()


def test_how_much_of_a_linear_feature():
    def linear(module, images):
        return {'V': images[:, :, 0, 0]}

    result = audit([network(encode=linear)], Noise(), [Mark('first', 0)], hit_pictures=0)
    cell = result.cell('V', 'first')
    assert cell.r2.value > 0.999 and min(cell.r2_by_strength) > 0.9 and cell.hit is None
    assert 'Hit rate' not in result.table()


def test_rows_and_references(found):
    assert found.rows == ['V', 'Z_second', 'Z_none', 'Z_constant', CONTROL, RANDOM, PIXELS, SHUFFLED]
    assert found.references == [CONTROL, RANDOM, PIXELS, SHUFFLED]
    assert found.broken == [] and (found.pictures, found.held_out, found.hit_pictures) == (160, 80, 30)
    assert abs(found.cell(SHUFFLED, 'first').cosine.value - 0.5) < 0.15


def test_it_depends_on_the_seed_alone(found):
    augmentations = [Mark('first', 0), Mark('second', 1)]
    settings = dict(control=network('c'), gallery=20, hit_pictures=30)
    again = audit([network()], Noise(), augmentations, batch_size=50, **settings)
    assert again == found
    other = audit([network()], Noise(), augmentations, batch_size=50, seed=1, **settings)
    assert other.cell('Z_none', 'first') != found.cell('Z_none', 'first')


def test_an_augmentation_without_effect_is_left_out_and_counted():
    augmentations = [Mark('first', 0), HorizontalFlip(prob=0)]
    result = audit([network()], Noise(100), augmentations, hit_pictures=0)
    assert list(result.augmentations) == ['first'] and result.no_effect == {'flip': 100}
    assert 'flip is left out: it does not change 100 pictures' in result.table()
    with pytest.raises(ValueError, match=r"No augmentation of \['flip'\] changes at least 20 pictures"):
        audit([network()], Noise(100), [HorizontalFlip(prob=0)])


def test_too_few_pictures():
    with pytest.raises(ValueError, match='Got 79 pictures; an audit needs at least 80'):
        audit([network()], Noise(79), [Mark('first', 0)])


def test_a_broken_control_is_found(found):
    cell = found.cell(SHUFFLED, 'first')
    away = Value(0.7, 0.66, 0.74)
    assert broken([cell]) == []
    assert broken([type(cell)(**{**vars(cell), 'probe': away})]) == ['first, probe 0.700']
    assert broken([type(cell)(**{**vars(cell), 'r2': away})]) == ['first, R² 0.700']
    assert broken([type(cell)(**{**vars(cell), 'r2': Value(-0.7, -0.71, -0.69)})]) == []


def test_files(found, tmp_path):
    write(found, tmp_path)
    saved = json.loads((tmp_path / 'audit.json').read_text())
    assert saved['cells'][0]['cosine'] == [1.0, 1.0, 1.0] and saved['references'] == found.references
    assert (tmp_path / 'audit.png').stat().st_size > 10_000
    texts = [text.get_text() for text in draw_audit(found).axes[0].texts]
    assert len(texts) == 16 and texts[0] == f'{found.cell("V", "first").probe.value:.2f}'


def test_several_models_have_rows_of_their_own():
    models = [network('one'), network('two', lambda module, images: {'V': images[:, :, 0, 1]})]
    result = audit(models, Noise(80), [Mark('first', 0)], hit_pictures=0)
    assert result.rows[:5] == ['one: V', 'one: Z_second', 'one: Z_none', 'one: Z_constant', 'two: V']
    assert result.cell('one: V', 'first').cosine.value == 1 > result.cell('two: V', 'first').cosine.value


def test_a_model_of_mmpretrain_is_normalised_by_its_preprocessor():
    model = FakeModel().eval()
    images = torch.rand(2, 3, 8, 8)
    got = of_model(model, 'fake').representations(images)
    assert list(got) == ['V', 'Z_invariant', 'Z_rotation']
    with torch.no_grad():
        assert torch.allclose(got['V'], model.representations(images)['V'], atol=1e-6)


@pytest.mark.parametrize('name', ['timm/resnet18', 'torchvision/resnet18'])
def test_networks_of_libraries(name, tmp_path):
    """V is the pooled last stage; the file has a classifier, which is not read."""
    torch.manual_seed(0)
    library, _, kind = name.partition('/')
    whole = timm.create_model(kind) if library == 'timm' else torchvision.models.get_model(kind)
    torch.save(whole.state_dict(), tmp_path / 'weights.pth')
    (loaded,) = load_networks([name], [str(tmp_path / 'weights.pth')])
    images = torch.rand(2, 3, 32, 32)
    got = loaded.with_stages().representations(images)
    assert {key: each.shape[1] for key, each in got.items()} == {
        **{'V': 512, 'layer1': 64, 'layer2': 128, 'layer3': 256, 'layer4': 512}
    }
    normalised = (images - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    whole.eval()
    with torch.no_grad():
        logits = whole(normalised)
        head = whole.fc(got['V'])
    assert torch.allclose(logits, head, atol=1e-4) and torch.allclose(got['layer4'], got['V'], atol=1e-5)
    assert not torch.allclose(loaded.random(1).representations(images)['V'], got['V'])


def test_weights_are_counted():
    with pytest.raises(ValueError, match=r'Got 0 --weights for 1 models that need them \(timm/resnet18\)'):
        load_networks(['timm/resnet18'])
    with pytest.raises(ValueError, match='timm has no model'):
        load_networks(['timm/resnet0'], ['pretrained'])
    with pytest.raises(ValueError, match='torchvision has no classifier'):
        load_networks(['torchvision/resnet0'], ['pretrained'])


def test_it_is_a_protocol():
    kind = PROTOCOLS.get('Audit')
    assert kind.name == 'audit' and kind.in_all
