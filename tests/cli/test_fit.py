"""``looc fit`` as a user starts it."""

import json

import onnxruntime
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from looc_mm.cli import main
from looc_mm.evaluation import FeatureSource
from looc_mm.evaluation.features import FeatureSet
from looc_mm.export import get_features
from looc_mm.export.features import Pictures
from looc_mm.fit import fit

from ..answer.tiny import COLORS, make_pictures, make_run
from .test_looc import looc


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp('work') / 'looc')


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    return make_pictures(tmp_path_factory.mktemp('data') / 'colors')


def test_the_command(run, pictures):
    done = looc('fit', run, pictures, '--shots', 6, '--classifier', '--device', 'cpu')
    assert done.returncode == 0, done.stderr
    saved = json.loads((run / 'fit_colors' / 'fit.json').read_text())
    assert done.stdout.strip().endswith('\n' + saved['sentence']) and saved['sentence'].startswith('Use ')
    assert (saved['train'], saved['held_out'], saved['size'], saved['classes']) == (18, 18, 32, [*COLORS])
    assert saved['not_learnt'] == ['rotation'] and 'Not learnt by the end of the training: rotation.' in done.stdout
    assert [(each['first'], each['second']) for each in saved['redundancy']][:2] == [
        ('V', 'invariant'),
        ('V', 'rotation'),
    ]
    assert saved['network']['file'] == 'network.onnx' and saved['network']['difference'] < 1e-3

    session = onnxruntime.InferenceSession(str(run / 'fit_colors' / 'network.onnx'))
    about = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
    assert about['classes'] == [*COLORS] and about['scales'] == saved['chosen'] and about['spaces'][-1] == 'logits'
    files = sorted((pictures / 'val').rglob('*.png'))
    images = torch.stack([Pictures(files, 32)[index]['inputs'] for index in range(18)]) / 255
    images = (images - torch.tensor(about['mean'])[:, None, None]) / torch.tensor(about['std'])[:, None, None]
    features, logits = session.run(['features', 'logits'], {'images': images.numpy()})
    target = [[*COLORS].index(file.parent.name) for file in files]
    expected = saved['top1'] if saved['better'] else saved['v_top1']
    assert 100 * (logits.argmax(1) == target).mean() == pytest.approx(expected)
    assert features.shape == (18, sum(saved['widths'][name] for name in saved['chosen']))


def test_safetensors_for_the_blocks_of_the_checkpoint(run, pictures, tmp_path, few_scales):
    found, file = fit(run, pictures, tmp_path, format='safetensors', classifier=True, device='cpu')
    state = load_file(file)
    with safe_open(file, 'pt') as opened:
        assert json.loads(opened.metadata()['scales']) == found.chosen
    parts = {
        name: get_features(run / 'epoch_3.pth', sorted((pictures / 'train').rglob('*.png')), space=name, device='cpu')
        for name in found.chosen
    }
    features = (torch.cat([*parts.values()], 1) - state['mean']) * state['factor']
    start = 0
    for name, scale in found.chosen.items():
        block = features[:, start : start + parts[name].shape[1]]
        start += parts[name].shape[1]
        alive = block.std(0, correction=0) > 0
        assert block.mean(0).abs().max() < 1e-4
        assert block[:, alive].std(0, correction=0).numpy() == pytest.approx(scale, rel=1e-3)
    right = (features @ state['layer.weight'].T + state['layer.bias']).argmax(1) == torch.arange(3).repeat_interleave(
        12
    )
    assert right.double().mean() > 0.9


def test_without_a_split_every_picture_is_held_out_once(run, pictures, tmp_path, few_scales):
    found, _ = fit(run, pictures / 'train', tmp_path, format='safetensors', device='cpu')
    assert (found.train, found.held_out, len(found.combinations)) == (36, 36, 5)
    assert found.split == 'each of 5 parts in turn, seed 0' and '5 choices without the held-out' in found.table()
    grouped, _ = fit(run, pictures / 'train', tmp_path, format='safetensors', group=r'(\w+/\d)', device='cpu')
    assert (grouped.held_out, grouped.groups) == (36, 30)
    again, _ = fit(run, pictures / 'train', tmp_path, format='safetensors', device='cpu')
    assert again == found


@pytest.fixture
def few_scales(monkeypatch):
    monkeypatch.setattr('looc_mm.fit.choose.SCALES', (0.3,))


@pytest.fixture
def informative(monkeypatch):
    """V is noise; the space color shows the class."""
    original = FeatureSource.feature_set

    def feature_set(self, split, *args):
        found = original(self, split, *args)
        draw = torch.Generator().manual_seed(len(found.labels['gt_label']))
        noise = {name: torch.randn(x.shape, generator=draw) for name, x in found.parts.items()}
        noise['color'][:, :3] += 9 * torch.eye(3)[found.labels['gt_label']]
        return FeatureSet(noise, found.labels)

    monkeypatch.setattr(FeatureSource, 'feature_set', feature_set)


def test_a_space_that_beats_v_is_chosen(run, pictures, tmp_path, informative, few_scales):
    found, _ = fit(run, pictures, tmp_path, format='safetensors', device='cpu')
    assert found.better and 'color' in found.chosen and found.chosen == found.combination
    assert found.top1 > 90 and found.v_top1 < 75 and found.interval[0] > 0
    assert found.difference == pytest.approx(found.top1 - found.v_top1)
    assert 'better beyond the interval' in found.sentence


def test_a_file_of_other_numbers_is_removed(run, pictures, tmp_path, informative, few_scales):
    """The features that it was fitted on are not those of the network."""
    with pytest.raises(ValueError, match='features of network.onnx, on pictures that it was fitted on, gives'):
        fit(run, pictures, tmp_path, device='cpu')
    assert [each.name for each in tmp_path.iterdir()] == ['fit.json']
    assert json.loads((tmp_path / 'fit.json').read_text())['network'] is None


def test_mistakes(run, pictures, tmp_path, capsys):
    for words, message in (
        ([run, pictures, '--shots', 1], 'Got 1 training pictures of a class (--shots)'),
        ([run, pictures, '--shots', 13], '13 shots were asked for, and class 0 has 12 training images'),
        ([run, tmp_path / 'none'], 'There is no folder'),
        ([tmp_path / 'none', pictures], 'There is no work dir or checkpoint'),
    ):
        assert main(['fit', *map(str, words)]) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(ValueError, match="Got the format 'pth'; allowed are"):
        fit(run, pictures, tmp_path, format='pth')
