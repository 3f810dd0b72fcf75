"""Split batch norm against plain batch norm in a loop over the groups, and as a model's config line."""

import copy

import pytest
import torch
from mmengine.registry import init_default_scope
from torch import nn

from looc_mm.models import SplitBatchNorm2d

from .test_multi_head_moco import build, views

SPLIT = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='SplitBN', splits=2))


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('looc_mm')  # as a run has it: mmcv looks norm layers up there


def layers(splits: int = 4) -> tuple[SplitBatchNorm2d, nn.BatchNorm2d]:
    torch.manual_seed(0)
    plain, split = nn.BatchNorm2d(3), SplitBatchNorm2d(3, splits)
    with torch.no_grad():
        for value in (plain.weight, plain.bias, plain.running_mean, plain.running_var):
            value.copy_(torch.rand(3))
    split.load_state_dict(plain.state_dict())  # the same keys
    return split, plain


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_each_group_is_normalised_as_plain_batch_norm_would(layout):
    split, plain = layers()
    images = torch.randn(8, 3, 5, 5).to(memory_format=layout).requires_grad_()
    groups = [copy.deepcopy(plain) for _ in range(4)]
    expected = torch.cat([group(images[2 * g : 2 * g + 2]) for g, group in enumerate(groups)])
    result = split(images)
    assert torch.allclose(result, expected, atol=1e-6)
    assert torch.allclose(split.running_mean, torch.stack([group.running_mean for group in groups]).mean(0))
    assert torch.allclose(split.running_var, torch.stack([group.running_var for group in groups]).mean(0))
    assert split.num_batches_tracked == 1

    weights = torch.randn(8, 3, 5, 5)
    got = torch.autograd.grad((result * weights).sum(), [images, split.weight, split.bias])
    (expected * weights).sum().backward()
    assert torch.allclose(got[0], images.grad, atol=1e-5)
    assert torch.allclose(got[1], sum(group.weight.grad for group in groups), atol=1e-5)
    assert torch.allclose(got[2], sum(group.bias.grad for group in groups), atol=1e-5)


def test_outside_training_it_is_plain_batch_norm():
    split, plain = (layer.eval() for layer in layers())
    images = torch.randn(3, 3, 5, 5)
    assert torch.equal(split(images), plain(images))


def test_it_is_one_config_line_and_a_checkpoint_loads_either_way():
    split, plain = build(backbone=SPLIT), build()
    assert isinstance(split.backbone.bn1, SplitBatchNorm2d) and split.backbone.bn1.splits == 2
    split.load_state_dict(plain.state_dict())
    plain.load_state_dict(split.state_dict())
    images = torch.randn(3, 3, 32, 32)
    assert torch.equal(split.eval().extract_feat(images), plain.eval().extract_feat(images))


@pytest.mark.parametrize('last_stage_per_space', [False, True])
def test_a_step(last_stage_per_space):
    model = build(backbone=SPLIT, last_stage_per_space=last_stage_per_space)
    model.loss(views(model))['loss'].backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.backbone.parameters())


def test_keys_are_normalised_in_other_company_than_their_queries():
    """In fixed company an image would have the same key at every call."""
    model, still = build(backbone=SPLIT), build(backbone=SPLIT, shuffle_bn=False)
    inputs = views(model, batch=8)
    assert torch.equal(still.encode_keys(inputs[1:]), still.encode_keys(inputs[1:]))
    keys = [model.encode_keys(inputs[1:]) for _ in range(4)]  # S x B x C
    assert any(not torch.allclose(keys[0], other, atol=1e-3) for other in keys[1:])
    model.key_backbone.eval()
    still.key_backbone.load_state_dict(model.key_backbone.state_dict())
    still.key_backbone.eval()
    assert torch.allclose(model.encode_keys(inputs[1:]), still.encode_keys(inputs[1:]), atol=1e-5), 'and put back'


def test_plain_batch_norm_is_not_shuffled_in_one_process():
    model = build()
    inputs = views(model)
    assert torch.equal(model.encode_keys(inputs[1:]), model.encode_keys(inputs[1:]))


def test_a_batch_that_cannot_be_split_is_refused():
    model = build(backbone={**SPLIT, 'norm_cfg': dict(type='SplitBN', splits=8)})
    with pytest.raises(ValueError, match=r'splits=8\) got a batch of 12.*batch_size a multiple of .*norm_cfg.splits'):
        model.loss(views(model))
    with pytest.raises(ValueError, match='splits=0; it is at least 1'):
        SplitBatchNorm2d(3, splits=0)


def test_conversion_to_sync_bn_takes_it_along():
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(build(backbone=SPLIT))
    assert not any(isinstance(module, SplitBatchNorm2d) for module in converted.modules())


def test_two_processes_with_accumulated_gradients_hold_one_model(ranks):
    for name, value in ranks[0]['split_state'].items():
        if 'running_' not in name:
            assert value.isfinite().all() and torch.equal(value, ranks[1]['split_state'][name]), name
    first, second, third = ranks[0]['split_keys']
    assert torch.equal(first, second) and not torch.equal(second, third), 'once per step of the optimizer'
