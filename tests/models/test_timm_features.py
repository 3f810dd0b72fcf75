"""Networks of timm as backbones: against timm itself, with weights from folders that the tests write."""

import copy
import json
import re
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

timm = pytest.importorskip('timm')

from looc_mm.checkpoint import build_model, load_weights, random_weights, read_checkpoint  # noqa: E402
from looc_mm.models.last_stage import take_last_stage  # noqa: E402
from looc_mm.models.timm_features import SPLITS, TimmFeatures  # noqa: E402
from looc_mm.registry import MODELS  # noqa: E402

from .test_multi_head_moco import AUGMENTATIONS, build, views  # noqa: E402

NECK = dict(type='QueuePerHeadNeck', hid_channels=16, out_channels=8, queue_len=16)
#: A small network of each class that LooC++ splits.
SMALL = {
    'ResNet': 'resnet10t',
    'RegNet': 'regnetx_002',
    'ConvNeXt': 'convnext_atto',
    'EdgeNeXt': 'edgenext_xx_small',
    'SwinTransformer': 'swin_tiny_patch4_window7_224',
    'VisionTransformer': 'vit_tiny_patch16_224',
}


def looc(name='resnet10t', statistics=None, **kwargs):
    backbone = dict(type='TimmFeatures', name=name, **kwargs.pop('backbone', {}))
    preprocessor = dict(
        type='LeaveOneOutPreprocessor',
        pipeline=dict(type='LeaveOneOutPipeline', augmentations=AUGMENTATIONS, leave_one_out=['rotation', 'color']),
        **(statistics or {}),
    )
    return build(backbone=backbone, neck=NECK, data_preprocessor=preprocessor, **kwargs)


def folder_of(path, name, mean=(0.485, 0.456, 0.406), **settings):
    """A folder as timm's hub has it, with the network whose weights it holds."""
    torch.manual_seed(7)
    network = timm.create_model(name, **settings).eval()
    path.mkdir(exist_ok=True)
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, path / 'model.safetensors')
    std, size = (0.229, 0.224, 0.225), [3, 224, 224]
    config = dict(architecture=name, pretrained_cfg=dict(mean=mean, std=std, input_size=size))
    (path / 'config.json').write_text(json.dumps(config))
    return network


@pytest.mark.parametrize('name', ['resnet10t', 'mobilenetv3_small_050', 'vit_small_patch16_dinov3', *SMALL.values()])
def test_the_features_are_timms(name):
    backbone = TimmFeatures(name, img_size=32)
    backbone.eval()
    network = timm.create_model(name, num_classes=0, **backbone.settings).eval()
    network.load_state_dict(backbone.timm_model.state_dict())
    images = torch.randn(2, 3, 32, 32)
    (found,) = backbone(images)
    assert found.ndim == 2 and torch.equal(found, network(images))


@pytest.mark.parametrize('name', ['vit_tiny_patch16_224', 'vit_small_patch14_dinov2', SMALL['SwinTransformer']])
def test_a_transformer_takes_pictures_of_other_sizes(name):
    backbone = TimmFeatures(name, img_size=32)
    backbone.eval()
    width = backbone(torch.randn(1, 3, 32, 32))[0].shape
    for side in (48, 72):
        assert backbone(torch.randn(1, 3, side, side))[0].shape == width


def test_the_size_is_that_of_the_views():
    model = looc('vit_tiny_patch16_224')
    assert model.backbone.timm_model.pos_embed.shape == (1, 1 + 2 * 2, 192)
    assert looc('vit_tiny_patch16_224', backbone=dict(img_size=64)).backbone.timm_model.pos_embed.shape[1] == 1 + 4 * 4


@pytest.mark.parametrize('name, width', [('resnet10t', 512), ('vit_tiny_patch16_224', 192)])
def test_a_step_without_in_channels(name, width):
    model = looc(name)
    assert model.width == width and model.neck.heads['color'][0].in_features == width
    model.init_weights()
    for key, query in zip(model.key_backbone.parameters(), model.backbone.parameters(), strict=True):
        assert torch.equal(key, query) and not key.requires_grad
    model.loss(views(model))['loss'].backward()
    assert all(each.grad is not None for each in model.backbone.parameters())


@pytest.mark.parametrize('name', ['AugSelf', 'CASSLE', 'ESSL'])
def test_relatives_of_looc_find_the_width(name):
    blur = dict(type='GaussianBlur')
    given = dict(AugSelf={}, ESSL={}, CASSLE={})[name]
    preprocessor = dict(
        type='LeaveOneOutPreprocessor',
        pipeline=dict(type='LeaveOneOutPipeline', augmentations=[*AUGMENTATIONS, blur], leave_one_out=[]),
    )
    wide, narrow = (
        build(type=name, neck=neck, data_preprocessor=copy.deepcopy(preprocessor), **given)
        for neck in ({**NECK, 'in_channels': 64}, NECK)
    )
    shapes = [{key: value.shape for key, value in each.state_dict().items()} for each in (wide, narrow)]
    assert shapes[0] == shapes[1]


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"no network 'resnet19'. The nearest names are .*resnet18"):
        TimmFeatures('resnet19')
    with pytest.raises(ValueError, match=r"no weights 'resnet18.mine'. Allowed: resnet18, or .*a1_in1k"):
        TimmFeatures('resnet18.mine')
    for name in ('hf-hub:a/b', 'local-dir:/tmp'):
        with pytest.raises(ValueError, match='has no network'):
            TimmFeatures(name)


def test_a_setting_that_a_network_does_not_take_is_refused():
    with pytest.raises(ValueError, match='does not build regnetx_002 with .*global_pool.*'):
        TimmFeatures('regnetx_002', global_pool='no such pooling')
    assert TimmFeatures('convnext_atto', drop_path_rate=0.3).timm_model.stages[-1].blocks[-1].drop_path.drop_prob > 0.29


def test_without_timm_the_error_has_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(ImportError, match=re.escape("pip install 'looc_mm[timm]'")):
        TimmFeatures('resnet10t')


@pytest.mark.parametrize('name', ['resnet10t', 'convnext_atto', 'vit_tiny_patch16_224'])
@pytest.mark.parametrize('as_file', [False, True], ids=['folder', 'file'])
def test_pretrained_weights_are_those_of_the_folder_or_file(tmp_path, name, as_file):
    """With a classifier in the file, which is left out; a position embedding of the size of the views."""
    network = folder_of(tmp_path / 'weights', name, **({'img_size': 32} if 'vit' in name else {}))
    where = tmp_path / 'weights/model.safetensors' if as_file else f'local-dir:{tmp_path / "weights"}'
    mean = dict(mean=[0.5] * 3, std=[0.5] * 3) if as_file and 'vit' in name else None
    model = looc(name, mean, backbone=dict(pretrained=str(where)))
    model.init_weights()
    for backbone in (model.backbone, model.key_backbone):
        state = backbone.timm_model.state_dict()
        assert state and all(torch.equal(value, network.state_dict()[key]) for key, value in state.items())


def test_a_position_embedding_is_fitted_to_the_views(tmp_path):
    network = folder_of(tmp_path / 'weights', 'vit_tiny_patch16_224')
    model = looc('vit_tiny_patch16_224', backbone=dict(pretrained=str(tmp_path / 'weights')))
    model.init_weights()
    found, given = model.backbone.timm_model, network.state_dict()
    assert found.pos_embed.shape[1] == 5 and given['pos_embed'].shape[1] == 197
    assert torch.equal(found.blocks[3].mlp.fc1.weight, given['blocks.3.mlp.fc1.weight'])


def test_weights_that_do_not_fit_are_refused(tmp_path):
    folder_of(tmp_path / 'a', 'resnet10t')
    with pytest.raises(ValueError, match='those of resnet10t, and the backbone is resnet14t'):
        looc('resnet14t', backbone=dict(pretrained=str(tmp_path / 'a')))
    model = looc('resnet14t', backbone=dict(pretrained=str(tmp_path / 'a/model.safetensors')))
    with pytest.raises(ValueError, match=r'do not fit resnet14t: .*Missing key.*prefix='):
        model.init_weights()
    torch.save({'backbone.conv1.weight': torch.zeros(1)}, tmp_path / 'b.pth')
    with pytest.raises(ValueError, match='do not fit resnet10t'):
        looc(backbone=dict(pretrained=str(tmp_path / 'b.pth'))).init_weights()
    with pytest.raises(ValueError, match='does not exist. Allowed: True, hf-hub:'):
        looc(backbone=dict(pretrained=str(tmp_path / 'none')))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='has no config.json'):
        looc(backbone=dict(pretrained=str(tmp_path / 'empty')))


def test_a_file_runs_no_code(tmp_path, capsys):
    class Runs:
        def __reduce__(self):
            return print, ('run',)

    torch.save({'state_dict': Runs()}, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='cannot be read'):
        looc(backbone=dict(pretrained=str(tmp_path / 'a.pth'))).init_weights()
    assert 'run' not in capsys.readouterr().out.split()


def test_the_statistics_of_the_weights_have_to_be_those_of_the_preprocessor(tmp_path):
    folder_of(tmp_path / 'a', 'resnet10t', mean=(0.5, 0.5, 0.5))
    arguments = dict(pretrained=str(tmp_path / 'a'))
    with pytest.raises(ValueError, match=r'mean=\[0.5, 0.5, 0.5\], and the data.* has mean=\[0.485, 0.456, 0.406\]'):
        looc(backbone=arguments)
    looc('resnet10t', dict(mean=[0.5] * 3), backbone=arguments)
    looc()  # random weights have no statistics


def test_a_checkpoint_is_read_without_the_pretrained_weights(tmp_path):
    """And its network has the size of its views."""
    from mmengine.config import Config

    folder_of(tmp_path / 'a', 'vit_tiny_patch16_224')
    model = looc('vit_tiny_patch16_224', backbone=dict(pretrained=str(tmp_path / 'a')))
    model.init_weights()
    config = dict(
        type='MultiHeadMoCo',
        data_preprocessor=dict(
            type='LeaveOneOutPreprocessor',
            pipeline=dict(type='LeaveOneOutPipeline', augmentations=AUGMENTATIONS, leave_one_out=['rotation', 'color']),
        ),
        backbone=dict(type='TimmFeatures', name='vit_tiny_patch16_224', pretrained=str(tmp_path / 'gone')),
        neck=NECK,
        head=dict(type='LooCLoss'),
    )
    text = Config(dict(model=config)).pretty_text
    torch.save({'state_dict': model.state_dict(), 'meta': {'cfg': text}}, tmp_path / 'epoch_1.pth')
    checkpoint = read_checkpoint(tmp_path / 'epoch_1.pth')
    loaded = build_model(checkpoint)
    load_weights(loaded, checkpoint)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(loaded.eval().extract_feat(images), model.eval().extract_feat(images))


@pytest.mark.parametrize('kind', SPLITS)
def test_trunk_and_stage_make_the_whole_network(kind):
    whole = TimmFeatures(SMALL[kind], img_size=32)
    whole.eval()
    assert type(whole.timm_model).__name__ == kind
    trunk = copy.deepcopy(whole)
    stage = take_last_stage(trunk)
    images = torch.randn(2, 3, 32, 32)
    (features,) = trunk(images)
    assert features.ndim == 4 and torch.equal(stage(features), whole(images)[0])
    names = [set(each.timm_model.state_dict()) for each in (trunk, stage, whole)]
    assert names[0] | names[1] == names[2] and not names[0] & names[1] and names[0] and names[1]


def test_the_last_quarter_of_a_vit_is_its_last_stage():
    trunk = TimmFeatures('vit_tiny_patch16_224')
    stage = take_last_stage(trunk)
    assert len(trunk.timm_model.blocks) == 9 and len(stage.timm_model.blocks) == 3


@pytest.mark.parametrize('kind', ['ResNet', 'SwinTransformer', 'VisionTransformer'])
def test_a_step_of_looc_plus_plus(kind, tmp_path):
    model = looc(SMALL[kind], last_stage_per_space=True)
    model.init_weights()
    model.loss(views(model))['loss'].backward()
    assert all(each.grad is not None for each in model.backbone.parameters())
    assert all(each.grad is not None for each in model.neck.parameters())
    found = model.eval().extract_feat(torch.randn(2, 3, 48, 48))
    assert found.shape == (2, 3 * model.width)


def test_the_stages_of_looc_plus_plus_start_with_the_pretrained_weights(tmp_path):
    network = folder_of(tmp_path / 'a', 'resnet10t')
    model = looc(last_stage_per_space=True, backbone=dict(pretrained=str(tmp_path / 'a')))
    model.init_weights()
    for head in (*model.neck.heads.values(), *model.key_heads.values()):
        assert torch.equal(head.last_stage.timm_model.layer4[0].conv1.weight, network.layer4[0].conv1.weight)
    assert torch.equal(model.backbone.timm_model.layer1[0].conv1.weight, network.layer1[0].conv1.weight)


@pytest.mark.parametrize('plus', [False, True], ids=['LooC', 'LooC++'])
def test_random_weights_are_not_the_pretrained_ones(plus, tmp_path):
    network = folder_of(tmp_path / 'a', 'resnet10t')
    model = looc(last_stage_per_space=plus, backbone=dict(pretrained=str(tmp_path / 'a')))
    random_weights(model)
    stage = model.neck.heads['color'].last_stage if plus else model.backbone
    assert not torch.equal(stage.timm_model.layer4[0].conv1.weight, network.layer4[0].conv1.weight)
    assert not torch.equal(model.backbone.timm_model.layer1[0].conv1.weight, network.layer1[0].conv1.weight)


def test_a_network_that_cannot_be_split_is_refused():
    with pytest.raises(ValueError, match=r'mobilenetv3_small_050 \(MobileNetV3 of timm\) does not allow.*ConvNeXt'):
        looc('mobilenetv3_small_050', last_stage_per_space=True)


def test_layers_of_the_learning_rate():
    """The first layer has the lowest; heads have the last layer's."""
    model = looc('vit_tiny_patch16_224')
    depth = {name: model.get_layer_depth(name) for name, _ in model.named_parameters()}
    assert depth['backbone.timm_model.patch_embed.proj.weight'][0] == 0
    blocks = [depth[f'backbone.timm_model.blocks.{index}.mlp.fc1.weight'][0] for index in range(12)]
    assert blocks == list(range(1, 13))
    layers = {number for _, number in depth.values()}
    assert len(layers) == 1 and depth['neck.heads.color.0.weight'][0] == layers.pop() - 1
    model.backbone = torch.nn.Conv2d(3, 8, 3)
    with pytest.raises(ValueError, match='Conv2d has no get_layer_depth.*TimmFeatures'):
        model.get_layer_depth('backbone.weight')


def test_the_optimizer_has_the_decayed_learning_rates():
    from mmengine.optim import build_optim_wrapper
    from mmengine.registry import DefaultScope

    model = looc('vit_tiny_patch16_224')
    with DefaultScope.overwrite_default_scope('looc_mm'):
        wrapper = build_optim_wrapper(
            model,
            dict(
                optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.05),
                constructor='LearningRateDecayOptimWrapperConstructor',
                paramwise_cfg=dict(layer_decay_rate=0.5),
            ),
        )
    rates = {group['param_name']: group['lr'] for group in wrapper.optimizer.param_groups}
    assert rates['neck.heads.color.0.weight'] == 1
    last, first = model.get_layer_depth('neck.heads.color.0.weight')[0], 'backbone.timm_model.patch_embed.proj.weight'
    assert rates[first] == pytest.approx(0.5**last)
    assert MODELS.get('TimmFeatures') is TimmFeatures


@pytest.mark.parametrize('plus', [False, True], ids=['LooC', 'LooC++'])
def test_a_frozen_backbone_stays_as_it_is(plus):
    """Weights and statistics of batch norm; the heads learn, and its key encoder stays its copy."""
    model = looc(freeze_backbone=True, last_stage_per_space=plus)
    model.init_weights()
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    model.train()
    assert not model.backbone.training and not model.key_backbone.training and model.neck.training
    for _ in range(2):
        model.loss(views(model))['loss'].backward()
        optimizer.step()
        optimizer.zero_grad()
    after = model.state_dict()
    changed = {key for key in after if not torch.equal(after[key], before[key])}
    assert not [key for key in changed if key.startswith(('backbone.', 'key_backbone.'))]
    assert {key for key, _ in model.neck.heads.named_parameters(prefix='neck.heads')} <= changed
    assert any('running_mean' in key for key in changed) == plus


def test_the_page_lists_what_can_be_split():
    page = (Path(__file__).parents[2] / 'docs/backbones.md').read_text()
    rows = re.findall(r'^\| (\w+) \| the last (stage|quarter)[^|]* \| (\w+) \|$', page, re.MULTILINE)
    assert rows == [(kind, 'quarter' if SPLITS[kind].share == 4 else 'stage', SMALL[kind]) for kind in SPLITS]
