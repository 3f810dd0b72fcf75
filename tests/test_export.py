"""The same numbers in torchvision, timm and ONNX Runtime as in the evaluation."""

import json
import sys

import cv2
import numpy as np
import pytest
import timm
import torch
import torchvision
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn
from torch.utils.data import DataLoader

from looc_mm.datasets import ImageFolder
from looc_mm.evaluation import extract
from looc_mm.export import (
    check_table,
    export_onnx,
    export_state_dict,
    get_features,
    list_images,
    load_model,
    network,
    picture_source,
    view_size,
    write_features,
)
from looc_mm.registry import MODELS

SIZE = 32
NARROW = dict(type='ResNet', depth=18, stem_channels=8, base_channels=8)
EVALUATION = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeShortEdge', scale=37),
    dict(type='CenterCrop', crop_size=SIZE),
    dict(type='PackCanvas', label_keys=('gt_label',)),
]


def config(backbone, in_channels, **kwargs):
    augmentations = [
        dict(type='RandomResizedCrop', size=SIZE),
        dict(type='RandomRightAngleRotation', prob=0.5),
        dict(type='ColorJitter'),
    ]
    return dict(
        type='MultiHeadMoCo',
        data_preprocessor=dict(
            type='LeaveOneOutPreprocessor', pipeline=dict(type='LeaveOneOutPipeline', augmentations=augmentations)
        ),
        backbone=backbone,
        neck=dict(type='QueuePerHeadNeck', in_channels=in_channels, hid_channels=16, out_channels=8, queue_len=64),
        head=dict(type='LooCLoss', temperature=0.2),
        **kwargs,
    )


def build(cfg):
    """A model whose batch norms have seen something."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('looc_mm'):
        model = MODELS.build(cfg)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return model.eval()


def save(path, cfg):
    text = Config(dict(model=cfg)).pretty_text
    torch.save({'state_dict': build(cfg).state_dict(), 'meta': {'cfg': text}}, path)
    return path


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return save(tmp_path_factory.mktemp('looc') / 'epoch_1.pth', config(NARROW, 64))


@pytest.fixture(scope='module')
def resnet():
    return build(config(dict(type='ResNet', depth=18), 512))


@pytest.fixture(scope='module')
def plus():
    return build(config(dict(type='ResNet', depth=18), 512, last_stage_per_space=True))


@pytest.fixture(scope='module')
def folder(tmp_path_factory, photographs):
    """Seven photographs of different sizes, at two depths, of two classes."""
    root = tmp_path_factory.mktemp('pictures')
    for index in range(7):
        piece = photographs[index % 2][10 * index : 90 + 20 * index, 30 * index : 200 + 15 * index, ::-1]
        path = root / ('cat' if index < 3 else 'dog/deep') / f'{index}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), piece)
    return root


@pytest.fixture
def images():
    """(5, 3, h, w), normalised."""
    return torch.randn(5, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))


def run_onnx(path, images):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    names = [output.name for output in session.get_outputs()]
    outputs = session.run(None, {'images': images.numpy()})
    return {name: torch.from_numpy(values) for name, values in zip(names, outputs, strict=True)}, session


@pytest.mark.parametrize('space', [None, 'color+invariant'])
def test_features_are_those_of_the_evaluation(checkpoint, folder, space):
    dataset = ImageFolder(str(folder), with_label=True, pipeline=EVALUATION)
    expected = extract(load_model(checkpoint), DataLoader(dataset, 4)).select(space and space.split('+')).x
    assert torch.equal(get_features(checkpoint, folder, space, batch_size=4, device='cpu'), expected)


def test_folder_list_and_tensor_are_the_same_pictures(checkpoint, folder):
    model = load_model(checkpoint).train()
    expected = get_features(model, str(folder))
    assert model.training, 'the mode is put back'
    paths = list_images(folder)
    assert torch.equal(get_features(model, paths[::-1]), expected.flip(0))
    whole = [torch.from_numpy(cv2.imread(path)[..., ::-1].transpose(2, 0, 1).copy()) for path in paths]
    for picture, feature in zip(whole, expected, strict=True):
        torch.testing.assert_close(get_features(model, picture[None])[0], feature, rtol=1e-4, atol=1e-5)


def test_a_tensor_of_the_view_size_is_taken_as_it_is(checkpoint):
    pictures = torch.randint(256, (3, 3, SIZE, SIZE), dtype=torch.uint8)
    model = load_model(checkpoint)
    with torch.no_grad():
        expected = model.extract_feat(model.data_preprocessor({'inputs': pictures})['inputs'])
    torch.testing.assert_close(get_features(model, pictures), expected)
    assert get_features(model, pictures, size=24).shape == expected.shape


def test_pictures_that_cannot_be_used(checkpoint, folder, tmp_path):
    model = load_model(checkpoint)
    broken = tmp_path / 'deep/broken.jpg'
    broken.parent.mkdir()
    broken.write_bytes(b'no picture')
    with pytest.raises(ValueError, match=r'broken.jpg.*is not a picture.*to another folder'):
        get_features(model, tmp_path)
    with pytest.raises(FileNotFoundError, match='none.jpg'):
        get_features(model, [tmp_path / 'none.jpg'])
    broken.unlink()
    with pytest.raises(FileNotFoundError, match='holds no images'):
        get_features(model, tmp_path)
    with pytest.raises(FileNotFoundError, match='is no folder.*a list of their paths'):
        get_features(model, tmp_path / 'none')
    with pytest.raises(ValueError, match='at least one'):
        get_features(model, [])
    with pytest.raises(ValueError, match=r'\(2, 3, 32, 32\) of torch.float32.*uint8'):
        get_features(model, torch.rand(2, 3, SIZE, SIZE))
    with pytest.raises(ValueError, match='size of 0 pixels'):
        get_features(model, folder, size=0)


def test_unknown_spaces_are_named_with_the_known(checkpoint, folder, tmp_path):
    both = r"\['texture'\].*\['invariant', 'rotation', 'color'\]"
    with pytest.raises(ValueError, match=both):
        get_features(checkpoint, folder, 'texture')
    model = load_model(checkpoint)
    with pytest.raises(ValueError, match=both):
        export_onnx(model, tmp_path / 'model.onnx', ['texture'])


def test_checkpoints_that_do_not_bring_their_model(checkpoint, tmp_path):
    bare = tmp_path / 'bare.pth'
    content = torch.load(checkpoint)
    torch.save(content['state_dict'], bare)
    with pytest.raises(ValueError, match='bare.pth holds no training config'):
        load_model(bare)
    del content['state_dict']['neck.heads.color.0.weight']
    torch.save(content, bare)
    with pytest.raises(ValueError, match='bare.pth.*neck.heads.color.0.weight'):
        load_model(bare)


def test_a_model_that_does_not_tell_its_view_size(folder):
    cfg = dict(
        type='ImageClassifier',
        data_preprocessor=dict(mean=[127.5] * 3, std=[51.0] * 3),
        backbone=NARROW,
        neck=dict(type='GlobalAveragePooling'),
        head=dict(type='LinearClsHead', num_classes=2, in_channels=64),
    )
    model = build(cfg)
    with pytest.raises(ValueError, match='ImageClassifier does not have one size.*--size'):
        get_features(model, folder)
    assert get_features(model, folder, size=SIZE).shape == (7, 64)
    about = network.about_network(model, {'V': ['V']}, SIZE)
    assert about['mean'] == [0.5] * 3 and about['std'] == [0.2] * 3
    uncropped = config(NARROW, 64)
    uncropped['data_preprocessor']['pipeline']['augmentations'].pop(0)
    with pytest.raises(ValueError, match='does not have one size'):
        view_size(build(uncropped))


@pytest.mark.parametrize('suffix', ['pth', 'safetensors'])
def test_torchvision_and_timm_give_the_same_features(resnet, images, tmp_path, suffix):
    expected = resnet.extract_feat(images)
    out = tmp_path / f'new/backbone.{suffix}'
    about = export_state_dict(resnet, out, 'torchvision')
    if suffix == 'pth':
        state = torch.load(out, weights_only=True)
        assert json.loads((tmp_path / 'new/backbone.pth.json').read_text()) == about
    else:
        from safetensors import safe_open

        with safe_open(out, 'pt') as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata = file.metadata()
        assert json.loads(metadata['mean']) == about['mean'] and metadata['format'] == 'pt'
    assert about['architecture'] == 'resnet18' and about['difference'] < 1e-5
    assert (about['spaces'], about['width'], about['view_size']) == (['V'], [512], SIZE)
    assert about['mean'] == [0.485, 0.456, 0.406] and about['std'] == [0.229, 0.224, 0.225]

    network = torchvision.models.resnet18()
    missing, unexpected = network.load_state_dict(state, strict=False)
    assert missing == ['fc.weight', 'fc.bias'] and not unexpected
    network.fc = nn.Identity()
    torch.testing.assert_close(network.eval()(images), expected, rtol=1e-4, atol=1e-5)

    export_state_dict(resnet, out, 'timm')
    network = timm.create_model('resnet18', num_classes=0, checkpoint_path=str(out)).eval()  # loads strictly
    torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-5)


def test_a_space_of_loocpp_makes_a_whole_resnet(plus, images, tmp_path):
    with pytest.raises(ValueError, match=r"name the space.*\['invariant', 'rotation', 'color'\]; got None"):
        export_state_dict(plus, tmp_path / 'rotation.pth')
    about = export_state_dict(plus, tmp_path / 'rotation.pth', spaces=['rotation'])
    assert about['spaces'] == ['rotation'] and about['width'] == [512]
    network = torchvision.models.resnet18()
    network.fc = nn.Identity()
    network.load_state_dict(torch.load(tmp_path / 'rotation.pth'))
    expected = plus.extract_feat(images, ['rotation'])
    torch.testing.assert_close(network.eval()(images), expected, rtol=1e-4, atol=1e-5)


def test_any_backbone_under_its_own_names(tmp_path):
    from safetensors.torch import load_file

    model = build(config(NARROW, 64))
    about = export_state_dict(model, tmp_path / 'own.safetensors', 'mmpretrain')
    assert about['architecture'] == 'ResNet' and 'difference' not in about
    own, read = model.backbone.state_dict(), load_file(tmp_path / 'own.safetensors')
    assert own.keys() == read.keys() and all(torch.equal(read[key], value) for key, value in own.items())


def test_a_backbone_of_timm_goes_back_to_timm(images, tmp_path):
    model = build(config(dict(type='TIMMBackbone', model_name='resnet10t'), 512))
    assert export_state_dict(model, tmp_path / 'resnet10t.pth', 'timm')['architecture'] == 'resnet10t'
    network = timm.create_model('resnet10t', num_classes=0, checkpoint_path=str(tmp_path / 'resnet10t.pth')).eval()
    torch.testing.assert_close(network(images), model.extract_feat(images), rtol=1e-4, atol=1e-5)


def test_resnext(tmp_path):
    backbone = dict(type='ResNeXt', depth=50, groups=32, width_per_group=4)
    about = export_state_dict(build(config(backbone, 2048)), tmp_path / 'resnext.pth')
    assert about['architecture'] == 'resnext50_32x4d'


@pytest.mark.parametrize(
    ('backbone', 'width', 'message'),
    [
        (dict(type='ConvNeXt', arch='atto'), 320, 'no counterpart of the backbone ConvNeXt. Allowed: ResNet.*resnet18'),
        (dict(type='ResNetV1d', depth=18), 512, 'no counterpart of the backbone ResNetV1d.*--format onnx'),
        (dict(type='ResNeXt', depth=50, groups=8), 2048, r'ResNeXt \(resnext50_8x4d\)'),
        (NARROW, 64, r'not those of resnet18: conv1.weight is \(8, 3, 7, 7\) in the backbone and \(64, 3, 7, 7\)'),
        (dict(type='ResNet', depth=18, deep_stem=True), 512, 'conv1.weight is not there in the backbone'),
        (dict(type='ResNet', depth=50, style='caffe'), 2048, 'resnet50 of torchvision gives other numbers.*style'),
    ],
)
def test_backbones_without_a_counterpart(backbone, width, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        export_state_dict(build(config(backbone, width)), tmp_path / 'backbone.pth')
    assert not list(tmp_path.iterdir())


def test_what_state_dicts_do_not_take(resnet, tmp_path):
    with pytest.raises(ValueError, match=r"the spaces \['color'\].*V alone"):
        export_state_dict(resnet, tmp_path / 'a.pth', spaces=['color'])
    with pytest.raises(ValueError, match=r"names='keras'.*'torchvision', 'timm'"):
        export_state_dict(resnet, tmp_path / 'a.pth', 'keras')
    with pytest.raises(ValueError, match=r'\*.pth or \*.safetensors.*a.bin'):
        export_state_dict(resnet, tmp_path / 'a.bin')


@pytest.mark.parametrize('spaces', [None, ['V', 'color', 'rotation']])
def test_onnx_of_v_and_of_spaces(checkpoint, images, tmp_path, spaces):
    import onnx

    model, out = load_model(checkpoint), tmp_path / 'model.onnx'
    about = export_onnx(model, out, spaces)
    outputs, session = run_onnx(out, images)
    assert list(outputs) == about['spaces'] == (spaces or ['V']) and about['difference'] <= 1e-4
    for name, values in outputs.items():
        expected = model.extract_feat(images, None if name == 'V' else [name])
        torch.testing.assert_close(values, expected, rtol=1e-4, atol=1e-5)
    assert session.get_inputs()[0].shape[1:] == [3, SIZE, SIZE]
    read = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
    assert read == {key: value for key, value in about.items() if key != 'difference'}
    assert b'site-packages' not in out.read_bytes()
    weights = [each.name for each in onnx.load(out).graph.initializer]
    assert any('neck.heads' in name for name in weights) == (spaces is not None), 'only heads that are asked for'


def test_onnx_of_loocpp(images, tmp_path):
    model = build(config(NARROW, 64, last_stage_per_space=True))
    assert export_onnx(model, tmp_path / 'plus.onnx', ['V', 'rotation'])['width'] == [192, 64]
    outputs, _ = run_onnx(tmp_path / 'plus.onnx', images)
    torch.testing.assert_close(outputs['V'], model.extract_feat(images), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(outputs['rotation'], model.extract_feat(images, ['rotation']), rtol=1e-4, atol=1e-5)


def test_a_network_of_other_numbers_is_not_written(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(network, 'TOLERANCE', -1.0)
    out = tmp_path / 'model.onnx'
    out.write_text('before')
    with pytest.raises(ValueError, match='V in ONNX Runtime gives other numbers'):
        export_onnx(load_model(checkpoint), out)
    assert out.read_text() == 'before' and list(tmp_path.iterdir()) == [out]


def test_large_features_may_differ_by_more(images, tmp_path):
    """Features in the thousands: float32 rounds them by more than 1e-4, and the export is right."""
    model = build(config(dict(type='ResNet', depth=18), 512))
    with torch.no_grad():
        model.backbone.layer4[1].bn2.weight.mul_(30000)
        assert model.extract_feat(images).max() > 2000
        own = model.extract_feat(images[:1])
    assert export_state_dict(model, tmp_path / 'backbone.pth')['difference'] < 1
    rounded = own * (1 + 5e-6 * torch.randn(own.shape, generator=torch.Generator().manual_seed(0)).clamp(-3, 3))
    assert network.check_numbers(own, rounded, 'it', '') == (own - rounded).abs().max() > 1e-4


@pytest.mark.parametrize('scale', [1e-3, 1, 3000])
def test_a_wrong_network_is_found_at_every_size_of_the_features(scale, images, tmp_path, monkeypatch):
    model = build(config(dict(type='ResNet', depth=18), 512))
    with torch.no_grad():
        model.backbone.layer4[1].bn2.weight.mul_(scale), model.backbone.layer4[1].bn2.bias.mul_(scale)
        for part in (model.backbone.layer4[0].bn2, model.backbone.layer4[0].downsample[1]):
            part.weight.mul_(scale), part.bias.mul_(scale)
    counterpart = network.counterpart

    def slightly_wrong(*args):
        *about, other = counterpart(*args)
        other.layer3[1].bn1.weight.data[5] *= 1.01  # one channel of one layer, by one percent
        return *about, other

    monkeypatch.setattr(network, 'counterpart', slightly_wrong)
    with pytest.raises(ValueError, match='resnet18 of torchvision gives other numbers than the model, by .* of their'):
        export_state_dict(model, tmp_path / 'backbone.pth')
    assert not list(tmp_path.iterdir())


def test_a_wrong_feature_is_found_beside_a_large_one():
    own = torch.rand(2, 2048) + 0.5
    own[:, 7] = 2072
    wrong = own.clone()
    wrong[1, 30] += 0.02
    with pytest.raises(ValueError, match='it gives other numbers'):
        network.check_numbers(own, wrong, 'it', '')
    assert network.check_numbers(torch.zeros(1, 3), torch.zeros(1, 3), 'it', '') == 0
    with pytest.raises(ValueError, match='by nan of their size'):
        network.check_numbers(own, torch.full_like(own, torch.nan), 'it', '')


def test_packages_that_are_not_there(checkpoint, tmp_path, monkeypatch):
    model = load_model(checkpoint)
    for package in ('onnxruntime', 'safetensors', 'pyarrow'):
        monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, 'safetensors.torch', None)
    monkeypatch.setitem(sys.modules, 'pyarrow.parquet', None)
    with pytest.raises(ImportError, match='pip install onnx onnxscript onnxruntime'):
        export_onnx(model, tmp_path / 'model.onnx')
    with pytest.raises(ImportError, match='pip install safetensors'):
        export_state_dict(model, tmp_path / 'model.safetensors', 'mmpretrain')
    with pytest.raises(ImportError, match='pip install pyarrow'):
        check_table('features.parquet')


def test_tables(tmp_path, monkeypatch):
    import pyarrow.parquet

    parts = {'V': torch.rand(3, 4), 'color': torch.rand(3, 2)}
    paths = ['a.jpg', 'b/ü.jpg', 'c.jpg']
    write_features(tmp_path / 'out.npz', paths, parts)
    arrays = np.load(tmp_path / 'out.npz')
    assert arrays['path'].tolist() == paths
    write_features(tmp_path / 'out.parquet', paths, parts)
    table = pyarrow.parquet.read_table(tmp_path / 'out.parquet')
    assert table.column_names == ['path', 'V', 'color'] and table['path'].to_pylist() == paths
    for name, values in parts.items():
        assert np.array_equal(arrays[name], values.numpy())
        assert np.array_equal(np.array(table[name].to_pylist(), np.float32), values.numpy())
    with pytest.raises(ValueError, match=r'\*.npz or \*.parquet'):
        write_features(tmp_path / 'out.csv', paths, parts)

    def full_disk(file, **arrays):
        file.write(b'half')
        raise OSError('disk full')

    monkeypatch.setattr(np, 'savez', full_disk)
    with pytest.raises(OSError, match='disk full'):
        write_features(tmp_path / 'out.npz', paths, parts)
    assert np.load(tmp_path / 'out.npz')['path'].tolist() == paths and len(list(tmp_path.iterdir())) == 2


def test_amp_and_workers(checkpoint, folder):
    model = load_model(checkpoint)
    full = picture_source(model, folder, batch_size=4).feature_set('images').parts
    assert list(full) == ['V', 'invariant', 'rotation', 'color']
    half = picture_source(model, folder, batch_size=4, workers=1, amp=True).feature_set('images').parts
    assert not torch.equal(half['V'], full['V'])
    torch.testing.assert_close(half['V'], full['V'], rtol=0.1, atol=0.1)


TIMM = dict(type='TimmFeatures', name='resnet10t')


@pytest.mark.parametrize('name', ['resnet10t', 'vit_tiny_patch16_224'])
@pytest.mark.parametrize('space', [None, 'rotation'], ids=['LooC', 'LooC++'])
def test_a_network_of_timm_goes_back_to_timm(name, space, images, tmp_path):
    model = build(config({**TIMM, 'name': name}, None, last_stage_per_space=space is not None))
    about = export_state_dict(model, tmp_path / 'a.pth', 'timm', space and [space])
    assert about['architecture'] == name and about['compared_with'] == 'timm' and about['difference'] < 1e-4
    settings = model.backbone.settings
    network = timm.create_model(name, num_classes=0, checkpoint_path=str(tmp_path / 'a.pth'), **settings).eval()
    with torch.no_grad():
        expected = model.extract_feat(images, space and [space])
        torch.testing.assert_close(network(images), expected, rtol=1e-4, atol=1e-5)


def test_what_a_network_of_timm_has_in_torchvision(images, tmp_path):
    model = build(config({**TIMM, 'name': 'resnet18'}, None))
    about = export_state_dict(model, tmp_path / 'a.pth')
    assert (about['architecture'], about['compared_with']) == ('resnet18', 'torchvision')
    network = torchvision.models.resnet18()
    network.fc = nn.Identity()
    network.load_state_dict(torch.load(tmp_path / 'a.pth'))
    torch.testing.assert_close(network.eval()(images), model.extract_feat(images), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r'no counterpart of the backbone TimmFeatures \(resnet10t\)'):
        export_state_dict(build(config(TIMM, None)), tmp_path / 'b.pth')
    export_state_dict(model, tmp_path / 'own.pth', 'mmpretrain')
    assert torch.load(tmp_path / 'own.pth').keys() == model.backbone.state_dict().keys()


def test_a_space_of_loocpp_of_timm_is_asked_for(tmp_path):
    with pytest.raises(ValueError, match='name the space whose it is'):
        export_state_dict(build(config(TIMM, None, last_stage_per_space=True)), tmp_path / 'a.pth', 'timm')
