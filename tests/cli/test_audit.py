"""``looc audit`` as a user starts it, and the protocol."""

import json
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from torch.utils.data import DataLoader

from looc_mm.audit import audit, load_networks, of_model
from looc_mm.checkpoint import load_model
from looc_mm.cli import main
from looc_mm.cli.audit import choose_augmentations, default_size
from looc_mm.evaluation import FeatureSource, run_protocols
from looc_mm.export.features import Pictures, list_images
from looc_mm.registry import PROTOCOLS

from ..test_export import NARROW, build, config
from .test_looc import looc


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp('work') / 'looc'
    folder.mkdir()
    cfg = config(NARROW, 64)
    meta = {
        'cfg': Config(dict(model=cfg)).pretty_text,
        'epoch': 1,
        'spaces': {'color': 'learning', 'rotation': 'not yet', 'invariant': 'learning'},
    }
    torch.save({'state_dict': build(cfg).state_dict(), 'meta': meta}, folder / 'epoch_1.pth')
    return folder


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    root = tmp_path_factory.mktemp('data') / 'noise'
    (root / 'deep').mkdir(parents=True)
    draw = np.random.default_rng(0)
    for index in range(90):
        small = draw.integers(0, 256, (5, 6, 3)).astype(np.uint8)
        cv2.imwrite(str(root / 'deep' / f'{index}.png'), cv2.resize(small, (48, 40)))
    return root


def test_the_command(run, pictures, tmp_path):
    options = ['--hit-pictures', 2, '--layers', '--control', run / 'epoch_1.pth', '--augmentations', 'config']
    done = looc('audit', run, 'random', pictures, *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'Same or different?' in done.stdout and 'Z_rotation (not learnt)' in done.stdout
    assert '90 pictures, 45 of them held out; views of 32 px; seed 0.' in done.stdout
    saved = json.loads((tmp_path / 'audit_noise' / 'audit.json').read_text())
    rows = list(dict.fromkeys(each['representation'] for each in saved['cells']))
    spaces = ['V', 'Z_invariant', 'Z_rotation', 'Z_color', *(f'layer{stage}' for stage in (1, 2, 3, 4))]
    references = ['control', 'random weights', 'pixel statistics', 'shuffled pairs']
    assert rows == [*spaces, *references] and saved['references'] == references
    assert list(saved['augmentations']) == ['crop', 'rotation', 'color']
    value = {row: next(each['cosine'] for each in saved['cells'] if each['representation'] == row) for row in rows}
    assert value['V'] == value['control'] == pytest.approx(value['layer4'], abs=1e-6) and value['V'] != value['layer1']
    assert (tmp_path / 'audit_noise' / 'audit.png').stat().st_size > 10_000


def test_mistakes(run, pictures, tmp_path, capsys):
    for words, message in (
        (['random', pictures], 'Got no model but "random"'),
        ([tmp_path / 'none', pictures], 'There is no work dir or checkpoint'),
        ([run, tmp_path], 'holds no images'),
        ([run, pictures, '--augmentations', 'Solarise'], r"--augmentations got ['Solarise']; allowed are standard"),
        ([run, run, pictures], 'Got a model twice'),
        ([run, pictures, '--count', '20'], 'Got 20 pictures; an audit needs at least 80'),
    ):
        assert main(['audit', *map(str, words)]) == 2
        assert message in capsys.readouterr().err


def test_a_broken_audit_exits_with_1(run, pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('looc_mm.audit.networks.Network.representations', lambda self, views: {'V': views.mean((2, 3))})
    monkeypatch.setattr(sys.modules['looc_mm.audit.audit'], 'broken', lambda cells: ['color, probe 0.700'])
    out = tmp_path / 'out'
    assert main(['audit', str(run), str(pictures), '--hit-pictures', '0', '--out', str(out)]) == 1
    assert 'THE AUDIT IS BROKEN: shuffled pairs are not at chance: color, probe 0.700' in capsys.readouterr().out
    assert json.loads((out / 'audit.json').read_text())['broken'] == ['color, probe 0.700']


def test_size_and_augmentations(run):
    networks = load_networks([str(run)])
    assert default_size(networks) == 32
    found = choose_augmentations(['RandomConvTexture'], networks, 48)
    assert [each.name for each in found] == ['crop', 'texture'] and found[0].output_size((9, 9)) == (48, 48)


def test_the_protocol(run, pictures, tmp_path):
    """The values are those of the function, under names of their own."""
    model = load_model(run / 'epoch_1.pth')
    data = Pictures(list_images(pictures), 40)
    loaders = {split: DataLoader(data, 30) for split in ('train', 'test')}
    source = FeatureSource(model, loaders, name='noise', states={'rotation': 'not yet'})
    before = torch.get_rng_state()
    metrics = run_protocols(source, [PROTOCOLS.build(dict(type='Audit', seed=3))], tmp_path)
    assert torch.equal(before, torch.get_rng_state())
    pipeline = model.data_preprocessor.pipeline
    expected = audit([of_model(model, 'noise')], data, pipeline.augmentations, hit_pictures=0, seed=3)
    assert metrics['audit/noise/V/auc_probe/color'] == expected.cell('V', 'color').probe.value
    assert metrics['audit/noise/rotation/r2/color'] == expected.cell('Z_rotation', 'color').r2.value
    assert (
        metrics['audit/noise/pixel statistics/auc_cosine/crop']
        == expected.cell('pixel statistics', 'crop').cosine.value
    )
    assert (tmp_path / 'audit.png').exists()
    few = FeatureSource(model, {'test': DataLoader(Pictures(list_images(pictures)[:79], 40), 30)}, name='few')
    assert PROTOCOLS.build(dict(type='Audit')).unsuitable(few) == 'it needs 80 test pictures and got 79'
