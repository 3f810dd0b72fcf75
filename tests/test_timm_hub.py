"""A folder for timm, its model card, and a checkpoint without what only a training needs."""

import json
import re

import pytest
import timm
import torch
from mmengine.config import Config

from looc_mm.checkpoint import check_training_start, load_model, read_checkpoint
from looc_mm.cli import main
from looc_mm.evaluation.cache import weights_hash
from looc_mm.export import Training, export_timm_hub, get_features

from .test_export import NARROW, SIZE, build, config

FACTS = Training({'pictures': 'the folder `photos`', 'spaces': 'invariant, color', 'started with': 'random weights'})
TIMM = dict(type='TimmFeatures', name='resnet10t')


@pytest.fixture
def images():
    """(3, 3, h, w), normalised."""
    return torch.randn(3, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def loaded(folder, **settings):
    return timm.create_model(f'local-dir:{folder}', pretrained=True, **settings).eval()


@pytest.mark.parametrize('space', [None, 'rotation'], ids=['LooC', 'LooC++'])
@pytest.mark.parametrize('name', ['resnet10t', 'convnext_atto', 'vit_tiny_patch16_224'])
def test_timm_loads_the_folder(name, space, images, tmp_path):
    """The same bits in the memory format of the model."""
    backbone = dict(type='TimmFeatures', name=name, drop_path_rate=0.1)
    model = build(config(backbone, None, last_stage_per_space=space is not None))
    about = export_timm_hub(model, tmp_path / 'hub', FACTS, spaces=space and [space])
    assert sorted(each.name for each in tmp_path.iterdir()) == ['hub']
    assert sorted(each.name for each in (tmp_path / 'hub').iterdir()) == [
        'README.md',
        'config.json',
        'model.safetensors',
    ]
    network = loaded(tmp_path / 'hub')
    assert about['equal'] and about['difference'] < 1e-4 and about['architecture'] == name
    with torch.no_grad():
        expected = model.extract_feat(images, space and [space])
        torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-5)
        assert torch.equal(network.to(memory_format=torch.channels_last)(images), expected)
    settings = network.pretrained_cfg
    assert list(settings['input_size']) == [3, SIZE, SIZE] and settings['crop_pct'] == 0.875
    assert [*settings['mean'], *settings['std']] == [0.485, 0.456, 0.406, 0.229, 0.224, 0.225]


def test_a_classifier_is_added_to_fine_tune(images, tmp_path):
    model = build(config(TIMM, None))
    export_timm_hub(model, tmp_path / 'hub', FACTS)
    network = loaded(tmp_path / 'hub', num_classes=7)
    assert network(images).shape == (3, 7)
    with torch.no_grad():
        found = network.forward_head(network.forward_features(images), pre_logits=True)
        torch.testing.assert_close(found, model.extract_feat(images), rtol=1e-4, atol=1e-5)


def test_the_resnet_of_mmpretrain(images, tmp_path):
    model = build(config(dict(type='ResNet', depth=18), 512))
    assert export_timm_hub(model, tmp_path / 'hub', FACTS)['architecture'] == 'resnet18'
    with torch.no_grad():
        found = loaded(tmp_path / 'hub')(images)
        torch.testing.assert_close(found, model.extract_feat(images), rtol=1e-4, atol=1e-5)


def test_the_folder_is_a_pretrained_start(tmp_path):
    """TimmFeatures takes the folder: its weights, and its mean and deviation."""
    model = build(config(TIMM, None))
    export_timm_hub(model, tmp_path / 'hub', FACTS)
    again = build(config({**TIMM, 'pretrained': str(tmp_path / 'hub')}, None))
    again.init_weights()
    own, other = model.backbone.state_dict(), again.backbone.state_dict()
    assert all(torch.equal(own[key], other[key]) for key in own)


def test_what_timm_has_not_is_refused(tmp_path):
    with pytest.raises(ValueError, match='not those of resnet18'):
        export_timm_hub(build(config(NARROW, 64)), tmp_path / 'hub', FACTS)
    (tmp_path / 'file').write_text('mine')
    with pytest.raises(ValueError, match='writes a folder, and .*file is a file'):
        export_timm_hub(build(config(TIMM, None)), tmp_path / 'file', FACTS)
    assert sorted(each.name for each in tmp_path.iterdir()) == ['file'] and (tmp_path / 'file').read_text() == 'mine'


@pytest.fixture
def run(tmp_path):
    """A work dir with a checkpoint as a training writes it, and its model."""
    cfg = config(TIMM, None, init_cfg=None)
    model = build(cfg)
    cfg['backbone'] = {**TIMM, 'pretrained': '/some/where/resnet'}
    text = Config(
        dict(
            model=cfg,
            train_dataloader=dict(dataset=dict(type='ImageFolder', data_root='/data/photos/train')),
            optim_wrapper=dict(optimizer=dict(type='AdamW', lr=1e-3)),
        )
    ).pretty_text
    optimizer = torch.optim.AdamW(model.parameters())
    for each in model.parameters():
        each.grad = torch.ones_like(each) if each.requires_grad else None
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimizer.step()
    model.load_state_dict(before)
    path = tmp_path / 'run/epoch_3.pth'
    path.parent.mkdir()
    meta = {'cfg': text, 'epoch': 3, 'experiment_name': 'mine', 'spaces': {'color': 'not yet', 'rotation': 'learning'}}
    torch.save({'state_dict': before, 'optimizer': optimizer.state_dict(), 'meta': meta}, path)
    return path, model


def record(model, **changes):
    default = dict(
        protocol='linear', dataset='flowers', representation='V', metric='top1', value=61.25, ci=1.5, seed=0,
        checkpoint='a', weights=weights_hash(model), data='d',
    )  # fmt: skip
    return {**default, **changes}


def test_the_model_card(run, tmp_path, capsys):
    path, model = run
    records = [
        record(model),
        record(model, factor='rotation', value=97.04, ci=None),
        record(model, representation=['color'], value=11.1),
        record(model, weights='of another model', value=22.2),
    ]
    (path.parent / 'test').mkdir()
    (path.parent / 'test/results.json').write_text(json.dumps(records))
    hub = tmp_path / 'hub'
    assert main(['export', str(path.parent), str(hub), '--format', 'timm-hub', '--license', 'cc-by-4.0']) == 0
    assert 'equal to the bit' in capsys.readouterr().out
    card = (hub / 'README.md').read_text()
    for line in (
        'license: cc-by-4.0',
        "network = timm.create_model('local-dir:hub', pretrained=True).eval()",
        'features = network(images)  # (B, 512)',
        '| pictures | the folder `photos` |',
        '| spaces | invariant, rotation, color |',
        '| spaces that have not learnt | color |',
        '| augmentations | RandomResizedCrop, RandomRightAngleRotation, ColorJitter |',
        '| epochs | 3 |',
        '| started with | the weights in `resnet` |',
        '| flowers | linear | class | top1 | 61.2 ± 1.5 |',
        '| flowers | linear | rotation | top1 | 97.0 |',
    ):
        assert line in card.splitlines(), line
    assert '11.1' not in card and '22.2' not in card and 'cc-by-4.0. The licence of the pictures' in card
    assert '/some' not in card and '/data' not in card
    front = re.match(r'---\n(.*?)\n---\n', card, re.DOTALL)
    assert front and 'library_name: timm' in front[1]
    assert json.loads((hub / 'config.json').read_text())['pretrained_cfg']['license'] == 'cc-by-4.0'


def test_a_card_without_licence_and_results(run, tmp_path, capsys):
    path, model = run
    hub = str(tmp_path / 'hub')
    assert main(['export', str(path), hub, '--format', 'timm-hub']) == 0
    card = (tmp_path / 'hub/README.md').read_text()
    assert 'license: unknown' in card and 'Choose a licence' in card and 'No evaluation of these weights' in card
    other = tmp_path / 'results.json'
    other.write_text(json.dumps([record(model, weights='x')]))
    for words, message in [
        (['--results', str(other)], 'has no result of the weights in'),
        (['--results', str(tmp_path / 'none')], 'There is no file of results'),
    ]:
        assert main(['export', str(path), hub, '--format', 'timm-hub', *words]) == 2
        assert message in capsys.readouterr().err
    with pytest.raises(SystemExit, match='2'):
        main(['export', str(path), 'a.pth', '--license', 'mit'])
    assert 'are for the model card' in capsys.readouterr().err


def test_a_checkpoint_with_the_weights_alone(run, tmp_path, capsys):
    path, model = run
    small = tmp_path / 'small.pth'
    assert main(['export', str(path), str(small), '--weights-only']) == 0
    before, after = path.stat().st_size, small.stat().st_size
    assert f'{after / 1e6:,.1f} MB, of {before / 1e6:,.1f} MB' in capsys.readouterr().out
    weights = sum(
        each.numel() * each.element_size()
        for part in (model.backbone, model.neck.heads)
        for each in part.state_dict().values()
    )
    assert weights < after < 1.05 * weights < before / 3
    pictures = torch.randint(256, (3, 3, SIZE, SIZE), dtype=torch.uint8)
    for space in (None, 'color'):
        assert torch.equal(get_features(path, pictures, space), get_features(small, pictures, space))
    assert weights_hash(load_model(small)) == weights_hash(model)
    read = read_checkpoint(small)
    assert (read.epoch, read.experiment, read.states['color']) == (3, 'mine', 'not yet')
    with pytest.raises(ValueError, match=r'cannot be resumed: it holds no weights of .*key_backbone'):
        check_training_start(model, read.state_dict, small, resume=True)
    check_training_start(model, read.state_dict, small, resume=False)
    with pytest.raises(SystemExit, match='2'):
        main(['export', str(path), str(small), '--weights-only', '--size', '32'])
    assert 'leave --format, --spaces and --size out' in capsys.readouterr().err
    assert main(['export', str(path), str(tmp_path / 'a.bin'), '--weights-only']) == 2
