import copy
import math

import pytest
import torch
from mmengine.logging import MessageHub

from looc_mm.models import LooCLoss, MultiHeadMoCo
from looc_mm.registry import MODELS

AUGMENTATIONS = [
    dict(type='RandomResizedCrop', size=32),
    dict(type='RandomRightAngleRotation'),
    dict(type='ColorJitter'),
    dict(type='HorizontalFlip'),
]


def build(leave_one_out=('rotation', 'color'), **kwargs) -> MultiHeadMoCo:
    torch.manual_seed(0)
    config = dict(
        type='MultiHeadMoCo',
        data_preprocessor=dict(
            type='LeaveOneOutPreprocessor',
            pipeline=dict(type='LeaveOneOutPipeline', augmentations=AUGMENTATIONS, leave_one_out=list(leave_one_out)),
        ),
        backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
        neck=dict(type='QueuePerHeadNeck', in_channels=64, hid_channels=16, out_channels=8, queue_len=16),
        head=dict(type='LooCLoss'),
    )
    return MODELS.build({**config, **kwargs})


def views(model: MultiHeadMoCo, batch: int = 4) -> torch.Tensor:
    return torch.randn(len(model.view_names), batch, 3, 32, 32)


def test_heads_and_queues_come_from_the_pipelines_spaces():
    for leave_one_out in ([], ['color'], ['color', 'rotation']):
        model = build(leave_one_out)
        assert model.spaces == ('invariant', *leave_one_out)
        assert tuple(model.neck.heads) == tuple(model.neck.queues) == tuple(model.key_heads) == model.spaces


def test_loss_is_eq_2_of_the_views_embeddings():
    """One step against the same step written out: every head on every view, by plain loops."""
    model = build(shuffle_bn=False, momentum=1.0)
    inputs = views(model)
    reference = copy.deepcopy(model)
    with torch.no_grad():
        q = [reference.neck.heads[space](reference.backbone(inputs[0])[-1].mean((2, 3))) for space in model.spaces]
        v = reference.key_backbone(inputs[1:].transpose(0, 1).flatten(0, 1))[-1].mean((2, 3)).unflatten(0, (4, 3))
        k = torch.stack([torch.stack([reference.key_heads[s](v[:, j]) for j in range(3)]) for s in model.spaces])
        expected, per_space = LooCLoss()(torch.stack(q), k, reference.neck.queue())
    result = model.loss(inputs)
    assert torch.allclose(result['loss'], expected, atol=1e-5)
    for i, space in enumerate(model.spaces):
        assert torch.allclose(result[f'loss_{space}'], per_space[i], atol=1e-5)
        assert torch.allclose(model.neck.queues[space].keys[:, :4], k[i, i].t(), atol=1e-5), 'queue i: head_i(k_i)'
    figures = model.figures.read()
    for i, space in enumerate(model.spaces):
        assert figures[space]['pos'] == (pytest.approx((q[i] * k[i, i]).sum(1).mean().item(), abs=1e-5), len(q[i]))
    for j, key in ((0, 'k_0'), (2, 'k_color')):
        assert figures['rotation'][key][0] == pytest.approx((q[1] * k[1, j]).sum(1).mean().item(), abs=1e-5)
    logits = LooCLoss().logits(torch.stack(q), k, reference.neck.queue())[2]
    assert figures['color']['top1'][0] == pytest.approx(100 * (logits.argmax(1) == 0).float().mean().item())


def test_the_color_space_has_k_0_as_a_negative():
    """LooC with one space is not MoCo twice: image by image, k_0 seen by the color head is among the negatives."""
    model = build(['color'], shuffle_bn=False, momentum=1.0).eval()
    inputs = views(model)
    queue = model.neck.queues['color'].keys.clone()
    result, total, without = model.loss(inputs), 0.0, 0.0
    with torch.no_grad():
        for row in range(4):
            q, k_0, k_color = (
                head['color'](backbone(inputs[view, row : row + 1])[-1].mean((2, 3)))[0]
                for view, backbone, head in (
                    (0, model.backbone, model.neck.heads),
                    (1, model.key_backbone, model.key_heads),
                    (2, model.key_backbone, model.key_heads),
                )
            )
            positive = math.exp(float(q @ k_color) / 0.2)
            others = sum(math.exp(float(q @ key) / 0.2) for key in queue.t())
            total -= math.log(positive / (positive + math.exp(float(q @ k_0) / 0.2) + others)) / 4
            without -= math.log(positive / (positive + others)) / 4
    assert result['loss_color'].item() == pytest.approx(total, abs=1e-4)
    assert abs(total - without) > 0.01


def test_gradients_reach_every_head_and_the_backbone_from_every_space_and_no_key():
    model = build()
    inputs = views(model)
    model.loss(inputs)['loss'].backward()
    assert all(parameter.grad is not None for parameter in model.neck.heads.parameters())
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.backbone.parameters())
    assert not any(parameter.requires_grad for parameter in [*model.key_backbone.parameters()])
    assert not any(parameter.requires_grad for parameter in [*model.key_heads.parameters()])
    for i in range(3):
        model.zero_grad()
        q = model.neck(model.backbone(inputs[0])[-1].mean((2, 3)))
        logits = model.head.logits(
            q, model.encode_keys(inputs[1:], lambda v: model.project_keys(model.key_heads, v)), model.neck.queue()
        )
        model.head.reduce(logits)[1][i].backward()
        assert model.backbone.conv1.weight.grad.abs().sum() > 0
        for j, space in enumerate(model.spaces):
            grads = [parameter.grad for parameter in model.neck.heads[space].parameters()]
            assert all((grad is not None and grad.abs().sum() > 0) == (i == j) for grad in grads)


def test_keys_follow_the_query_encoder_by_momentum():
    model = build(momentum=0.9)
    with torch.no_grad():
        for parameter in [*model.backbone.parameters(), *model.neck.heads.parameters()]:
            parameter.add_(torch.randn_like(parameter))
    before = copy.deepcopy(model)
    model.loss(views(model))
    pairs = (
        (before.key_backbone, before.backbone, model.key_backbone),
        (before.key_heads, before.neck.heads, model.key_heads),
    )
    for old, query, new in pairs:
        for o, q, n in zip(old.parameters(), query.parameters(), new.parameters(), strict=True):
            assert torch.allclose(n, 0.9 * o + 0.1 * q, atol=1e-6)


def test_keys_are_encoded_after_the_key_encoder_has_followed():
    """As in MoCo's code: a step's keys, which the queues take in, are those of the updated key encoder."""
    model = build(momentum=0.5, shuffle_bn=False).eval()  # batch norm fixed: one view at a time gives the same
    with torch.no_grad():
        for parameter in [*model.backbone.parameters(), *model.neck.heads.parameters()]:
            parameter.add_(0.1 * torch.randn_like(parameter))
    inputs, before = views(model), copy.deepcopy(model)
    model.loss(inputs)

    def keys(encoder: MultiHeadMoCo, index: int) -> torch.Tensor:
        features = encoder.key_backbone(inputs[1 + index])[-1].mean((2, 3))
        return encoder.key_heads[model.spaces[index]](features)

    for index, space in enumerate(model.spaces):
        stored = model.neck.queues[space].keys[:, :4].t()
        with torch.no_grad():
            assert torch.allclose(stored, keys(model, index), atol=1e-5)
            assert not torch.allclose(stored, keys(before, index), atol=1e-2)


def test_key_encoder_starts_as_the_query_encoder():
    model = build()
    model.init_weights()
    for query, key in ((model.backbone, model.key_backbone), (model.neck.heads, model.key_heads)):
        for name, value in query.state_dict().items():
            assert torch.equal(value, key.state_dict()[name])


def test_one_step_learns_through_mmengine():
    """train_step: preprocess, loss, backward, step; then the views are those of the seed, rank and iteration."""
    from mmengine.optim import OptimWrapper

    model = build()
    model.init_weights()
    wrapper = OptimWrapper(torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1))
    data = {'inputs': torch.randint(0, 255, (4, 3, 40, 40), dtype=torch.uint8)}
    before = copy.deepcopy(model.state_dict())
    log = model.train_step(data, wrapper)
    assert {'loss', 'loss_color', 'loss_rotation', 'loss_invariant'} == set(log)
    figures = model.figures.read()
    assert {'top1', 'pos', 'k_0', 'k_rotation', 'P'} >= set(figures['color']) > {'pos', 'top1'}
    assert set(figures['invariant']) == {'pos'}, 'the queue holds no key yet'
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert 'backbone.conv1.weight' in changed and 'neck.queues.color.keys' in changed
    assert log['loss'] == pytest.approx(sum(float(log[f'loss_{space}']) for space in model.spaces) / 3)
    model.train_step(data, wrapper)
    figures = model.figures.read()
    assert set(figures['invariant']) == {'pos', 'others', 'top1', 'P'} and 'others' in figures['color']


def test_representation():
    model = build().eval()
    images = torch.randn(4, 3, 32, 32)
    v = model.extract_feat(images)
    assert v.shape == (4, 64) and torch.equal(v, model(images))
    z = model.extract_feat(images, ['color', 'invariant'])
    assert z.shape == (4, 16)
    assert torch.allclose(z[:, :8], model.neck.heads['color'](v)) and torch.allclose(
        z[:, 8:], model.neck.heads['invariant'](v)
    )
    with pytest.raises(ValueError, match=r"texture.*\['invariant', 'rotation', 'color'\]"):
        model.extract_feat(images, ['texture'])


@pytest.mark.parametrize(
    'backbone, width',
    [
        (dict(type='ConvNeXt', arch=dict(depths=[1, 1, 1, 1], channels=[8, 8, 8, 16])), 16),
        (dict(type='VisionTransformer', arch='deit-tiny', img_size=32, patch_size=16, out_type='cls_token'), 192),
        (dict(type='SwinTransformer', arch='tiny', img_size=32, window_size=1), 768),
        (dict(type='TIMMBackbone', model_name='resnet18'), 512),
        (dict(type='TIMMBackbone', model_name='convnext_atto'), 320),
    ],
    ids=lambda value: value.get('model_name', value['type']) if isinstance(value, dict) else str(value),
)
def test_other_backbones(backbone, width):
    neck = dict(type='QueuePerHeadNeck', in_channels=width, hid_channels=16, out_channels=8, queue_len=16)
    model = build(backbone=backbone, neck=neck)
    model.loss(views(model))['loss'].backward()
    assert model.extract_feat(torch.randn(2, 3, 32, 32)).shape == (2, width)


def test_views_from_the_dataset_pipeline():
    """Made by workers, normalised by MMPreTrain's own preprocessor; their names are checked."""
    spaces = dict(data_preprocessor=dict(type='mmpretrain.SelfSupDataPreprocessor'), spaces=['invariant', 'color'])
    model = build(**spaces)
    inputs = list(views(model))
    named = [{'views': ('q', 'k_0', 'k_color')}] * 4
    assert model(inputs, named, mode='loss')['loss'].isfinite()
    with pytest.raises(ValueError, match=r"'k_rotation'.*\['q', 'k_0', 'k_color'\]"):
        build(**spaces)(inputs, [{'views': ('q', 'k_0', 'k_rotation')}] * 4, mode='loss')
    with pytest.raises(ValueError, match='got 2 of them'):
        build(**spaces).loss(inputs[:2])


def test_early_errors():
    with pytest.raises(ValueError, match='batch of 1 image'):
        model = build()
        model.loss(views(model, batch=1))
    with pytest.raises(ValueError, match='queue of 16 keys'):
        model = build()
        model.loss(views(model, batch=3))
    with pytest.raises(ValueError, match='give one of them'):
        build(spaces=['invariant'])
    with pytest.raises(ValueError, match='give one of them'):
        build(data_preprocessor=dict(type='mmpretrain.SelfSupDataPreprocessor'))
    with pytest.raises(ValueError, match='momentum=1.5'):
        build(momentum=1.5)
    with pytest.raises(ValueError, match='out_type'):
        model = build(
            backbone=dict(type='VisionTransformer', arch='deit-tiny', img_size=32, patch_size=16, out_type='raw')
        )
        model.loss(views(model))


def test_same_iteration_same_views():
    hub = MessageHub.get_instance('views')
    model = build()
    data = {'inputs': torch.randint(0, 255, (4, 3, 40, 40), dtype=torch.uint8)}
    made = []
    for seed, iteration in ((1, 5), (1, 6), (2, 5), (1, 5)):
        hub.update_info_dict(dict(seed=seed, iter=iteration))
        made.append(model.data_preprocessor(data, training=True)['inputs'])
    MessageHub.get_instance('other')
    assert torch.equal(made[0], made[3])
    assert not torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])
    torch.manual_seed(0)
    outside = [model.data_preprocessor(data, training=True)['inputs'] for _ in range(2)]
    assert not torch.equal(*outside), 'outside a Runner every call draws again'
