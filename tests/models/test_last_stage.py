"""LooC++ and MoCo++: a last stage for each space."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from looc_mm.models import LooCLoss
from looc_mm.models.last_stage import fresh_last_stage, take_last_stage
from looc_mm.registry import MODELS

from .test_multi_head_moco import build, views

TINY = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8)


@pytest.mark.parametrize(
    'name, millions',
    [('looc_color', 32.4), ('looc', 36.9), ('looc_all', 41.3), ('loocpp', 66.8), ('loocpp_all', 86.2)],
)
def test_parameters_as_counted_by_hand(name, millions):
    """ResNet-50, the paper's heads; n = 1, 2, 3."""
    init_default_scope('looc_mm')
    model = MODELS.build(Config.fromfile(f'configs/looc/{name}_r50_in100.py').model)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert trained / 1e6 == pytest.approx(millions, abs=0.05)


def test_parameters_of_looc_plus_plus_with_one_augmentation():
    init_default_scope('looc_mm')
    cfg = Config.fromfile('configs/looc/loocpp_r50_in100.py').model
    cfg.data_preprocessor.pipeline.leave_one_out = ['color']
    trained = sum(parameter.numel() for parameter in MODELS.build(cfg).parameters() if parameter.requires_grad)
    assert trained / 1e6 == pytest.approx(47.4, abs=0.05)


def test_trunk_and_stage_make_the_whole_backbone():
    whole = MODELS.build(dict(type='mmpretrain.ResNet', depth=18))
    whole.eval()  # which does not return it
    trunk = copy.deepcopy(whole)
    stage = take_last_stage(trunk)
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(stage(trunk(images)[-1]), whole(images)[-1])
    assert trunk(images)[-1].shape == (2, 256, 4, 4) and not hasattr(trunk, 'layer4')


@pytest.mark.parametrize(
    'backbone',
    [
        dict(type='ResNetV1d', depth=50),
        dict(type='ResNeXt', depth=50),
        dict(type='SEResNet', depth=50),
        dict(type='ResNeSt', depth=50),
        dict(type='RegNet', arch='regnetx_400mf'),
        dict(type='Res2Net', depth=50, scales=4, base_width=26),
    ],
    ids=lambda backbone: backbone['type'],
)
def test_the_whole_resnet_family_can_be_split(backbone):
    whole = MODELS.build(backbone)
    whole.eval()
    trunk = copy.deepcopy(whole)
    stage = take_last_stage(trunk)
    images = torch.randn(1, 3, 64, 64)
    assert torch.equal(stage(trunk(images)[-1]), whole(images)[-1])


@pytest.mark.parametrize(
    'backbone',
    [
        dict(type='ConvNeXt', arch='atto'),
        dict(type='SwinTransformer', arch='tiny', img_size=32),
        dict(type='VisionTransformer', arch='deit-tiny', img_size=32, out_type='cls_token'),
    ],
    ids=lambda backbone: backbone['type'],
)
def test_a_backbone_that_cannot_be_split_is_refused_with_those_that_can(backbone):
    with pytest.raises(ValueError, match=rf'{backbone["type"]} does not allow. Allowed: .*RegNet.*ResNet, .*SEResNet'):
        build(backbone=backbone, last_stage_per_space=True)


@pytest.mark.parametrize('invariant', [False, True], ids=['LooC++', 'MoCo++'])
def test_loss_is_eq_2_with_a_stage_per_head(invariant):
    """Every stage and head on every view by plain loops; in evaluation mode, for company does not matter then."""
    head = dict(type='LooCLoss', same_image_negatives=not invariant)
    model = build(last_stage_per_space=True, momentum=1.0, head=head).eval()
    inputs = views(model)
    reference = copy.deepcopy(model)

    def embed(trunk, heads, space, images):
        branch = heads[space].last_stage(trunk(images)[-1]).mean((2, 3))
        return torch.nn.functional.normalize(heads[space].mlp[2](heads[space].mlp[0](branch).relu()), dim=1)

    with torch.no_grad():
        q = torch.stack([embed(reference.backbone, reference.neck.heads, s, inputs[0]) for s in model.spaces])
        k = torch.stack(
            [
                torch.stack([embed(reference.key_backbone, reference.key_heads, s, inputs[1 + j]) for j in range(3)])
                for s in model.spaces
            ]
        )
        expected, _ = LooCLoss(same_image_negatives=not invariant)(q, k, reference.neck.queue())
    assert torch.allclose(model.loss(inputs)['loss'], expected, atol=1e-5)
    for i, space in enumerate(model.spaces):
        assert torch.allclose(model.neck.queues[space].keys[:, :4], k[i, i].t(), atol=1e-5)


def test_gradients_reach_every_stage_and_the_trunk():
    model = build(last_stage_per_space=True)
    model.loss(views(model))['loss'].backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.backbone.parameters())
    for head in model.neck.heads.values():
        assert all(parameter.grad is not None for parameter in head.last_stage.parameters())
    assert not any(parameter.requires_grad for parameter in model.key_heads.parameters())


def test_the_representation_is_the_chosen_stages_pooled_and_concatenated():
    model = build(last_stage_per_space=True).eval()
    images = torch.randn(4, 3, 32, 32)
    trunk = model.backbone(images)[-1]
    pooled = {space: model.neck.heads[space].last_stage(trunk).mean((2, 3)) for space in model.spaces}
    assert torch.allclose(model.extract_feat(images), torch.cat([pooled[space] for space in model.spaces], 1))
    chosen = model.extract_feat(images, ['color', 'invariant'])
    assert torch.allclose(chosen, torch.cat([pooled['color'], pooled['invariant']], 1)) and chosen.shape == (4, 128)
    with pytest.raises(ValueError, match=r"texture.*\['invariant', 'rotation', 'color'\]"):
        model.extract_feat(images, ['texture'])
    assert list(model.representations(images)) == list(model.representation_names) == list(model.spaces)


def test_every_stage_is_initialised_as_the_backbones_own_and_apart_from_the_others(tmp_path):
    model = build(last_stage_per_space=True)
    model.init_weights()
    stages = [head.last_stage for head in model.neck.heads.values()]
    assert not torch.equal(stages[0][0].conv1.weight, stages[1][0].conv1.weight)
    assert all(float(block.bn2.weight.detach().abs().sum()) == 0 for block in stages[0]), 'zero-init of the residuals'
    for query, key in zip(model.neck.heads.parameters(), model.key_heads.parameters(), strict=True):
        assert torch.equal(query, key)

    whole = MODELS.build(TINY)
    torch.save(
        {'state_dict': {f'backbone.{name}': value for name, value in whole.state_dict().items()}}, tmp_path / 'a'
    )
    pretrained = dict(type='Pretrained', checkpoint=str(tmp_path / 'a'), prefix='backbone.')
    stage = fresh_last_stage({**TINY, 'init_cfg': pretrained})
    assert torch.equal(stage[0].conv1.weight, whole.layer4[0].conv1.weight)
