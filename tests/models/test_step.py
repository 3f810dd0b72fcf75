"""The step against a plain one, and its options: accumulation, checkpointing, compilation, bfloat16."""

import copy
import math

import pytest
import torch
from mmengine.optim import OptimWrapper

from looc_mm.models import MultiHeadMoCo
from looc_mm.models.representation import encode

from .test_multi_head_moco import build, views

GROUPS = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, norm_cfg=dict(type='GN', num_groups=2))
SWIN = dict(embed_dims=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 1, 1])
TINY = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8)


def plain_loss(model: MultiHeadMoCo, inputs: torch.Tensor) -> float:
    """Eq. 2 as the paper has it, in float64: view by view, image by image, head by head, logit by logit."""
    model = copy.deepcopy(model).double()
    inputs = inputs.double()

    def embed(backbone, head, image):
        return head(backbone(image[None])[-1].mean((2, 3)))[0].double()

    total, images = 0.0, inputs.shape[1]
    for i, space in enumerate(model.spaces):
        head, key_head = model.neck.heads[space], model.key_heads[space]
        for b in range(images):
            q = embed(model.backbone, head, inputs[0, b])
            k = [embed(model.key_backbone, key_head, view[b]) for view in inputs[1:]]
            negatives = list(model.neck.queues[space].keys.t())
            if i:
                negatives += [k[j] for j in range(len(k)) if j != i]
            terms = [math.exp(float(q @ other) / 0.2) for other in [k[i], *negatives]]
            total -= math.log(terms[0] / sum(terms))
    return total / images / len(model.spaces)


@pytest.mark.parametrize('leave_one_out', [[], ['color'], ['rotation', 'color']])
def test_the_loss_is_that_of_a_plain_step(leave_one_out):
    """Without company (group norm) one batch of all keys is as good as one image at a time."""
    model = build(leave_one_out, backbone=GROUPS, momentum=1.0)
    inputs = views(model)
    with torch.no_grad():
        expected = plain_loss(model, inputs)
        assert model.loss(inputs)['loss'].item() == pytest.approx(expected, abs=1e-5)


def test_in_bfloat16_it_is_the_same_within_its_precision():
    model = build(backbone=GROUPS, momentum=1.0)
    inputs = views(model)
    with torch.no_grad():
        expected = plain_loss(model, inputs)
    with torch.no_grad(), torch.autocast('cpu', dtype=torch.bfloat16):
        assert model.loss(inputs)['loss'].item() == pytest.approx(expected, abs=0.02)


def test_keys_handed_over_in_bfloat16_are_those_of_float32_views():
    """The first convolution rounds them anyway."""
    model = build().eval()
    keys = views(model)[1:]
    with torch.no_grad(), torch.autocast('cpu', dtype=torch.bfloat16):
        v = encode(model.key_backbone, keys.transpose(0, 1).flatten(0, 1)).unflatten(0, (4, 3)).transpose(0, 1)
        assert torch.equal(model.encode_keys(keys), v)


def gradients(model: MultiHeadMoCo) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def test_accumulated_gradients_are_those_of_the_mean_loss():
    model = build(backbone=GROUPS)
    first, second = views(model), views(model)
    reference = copy.deepcopy(model)
    mean = (reference.loss(first)['loss'] + reference.loss(second)['loss']) / 2
    mean.backward()

    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1), accumulative_counts=2)
    wrapper.initialize_count_status(model, 0, 4)
    wrapper.zero_grad = lambda: None  # so that they can be looked at
    before = copy.deepcopy(model.state_dict())
    wrapper.update_params(model.loss(first)['loss'])
    assert torch.equal(model.backbone.conv1.weight, before['backbone.conv1.weight'])
    wrapper.update_params(model.loss(second)['loss'])
    for name, gradient in gradients(reference).items():
        assert torch.allclose(gradients(model)[name], gradient, atol=1e-6), name
    assert torch.equal(model.neck.queue(), reference.neck.queue()), 'queues take the keys of both'
    assert not torch.equal(model.backbone.conv1.weight, before['backbone.conv1.weight'])


def test_the_key_encoder_follows_once_per_step_of_the_optimizer_and_so_it_does_after_resuming():
    model = build(backbone=GROUPS, momentum=0.5)
    batches = [views(model) for _ in range(4)]

    def train(model, batches):
        sgd = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
        wrapper = OptimWrapper(sgd, accumulative_counts=2)
        wrapper.initialize_count_status(model, 0, 4)
        keys = []
        for batch in batches:
            wrapper.update_params(model.loss(batch)['loss'])
            keys.append(model.key_backbone.conv1.weight.clone())
        return keys

    resumed = copy.deepcopy(model)
    start, query = model.key_backbone.conv1.weight.clone(), model.backbone.conv1.weight.clone()
    keys = train(model, batches[:2])
    assert torch.equal(keys[0], keys[1]) and torch.allclose(keys[0], (start + query) / 2)
    query = model.backbone.conv1.weight.clone()
    keys += train(model, batches[2:])
    assert torch.equal(keys[2], keys[3]) and torch.allclose(keys[2], (keys[1] + query) / 2)

    train(resumed, batches[:2])
    fresh = build(backbone=GROUPS, momentum=0.5)
    fresh.load_state_dict(resumed.state_dict())
    train(fresh, batches[2:])
    for name, value in model.state_dict().items():
        assert torch.equal(value, fresh.state_dict()[name]), name


def test_a_loop_that_sets_gradients_to_zero_is_refused():
    model = build()
    sgd = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)

    def step(set_to_none):
        model.loss(views(model))['loss'].backward()
        sgd.step()
        sgd.zero_grad(set_to_none=set_to_none)

    step(set_to_none=False)
    with pytest.raises(RuntimeError, match=r'zero_grad\(set_to_none=False\)'):
        step(set_to_none=False)


@pytest.mark.parametrize(
    'backbone, width',
    [
        (TINY, 64),
        (dict(type='ConvNeXt', arch=dict(depths=[1, 1, 1, 1], channels=[8, 8, 8, 16]), drop_path_rate=0.5), 16),
        (dict(type='SwinTransformer', arch=SWIN, img_size=32, window_size=1), 64),
    ],
    ids=lambda value: value['type'] if isinstance(value, dict) else '',
)
@pytest.mark.parametrize('autocast', [False, True], ids=['float32', 'bfloat16'])
@pytest.mark.filterwarnings('ignore:torch.utils.checkpoint')
def test_checkpointing_changes_neither_loss_nor_gradients(backbone, width, autocast):
    """MMPreTrain's with_cp. What it does change: batch norm's running statistics of q take each batch twice."""
    neck = dict(type='QueuePerHeadNeck', in_channels=width, hid_channels=16, out_channels=8, queue_len=16)
    plain, frugal = (build(backbone={**backbone, 'with_cp': with_cp}, neck=neck) for with_cp in (False, True))
    frugal.load_state_dict(plain.state_dict())
    inputs = views(plain)
    losses = []
    for model in (plain, frugal):
        torch.manual_seed(0)
        with torch.autocast('cpu', dtype=torch.bfloat16, enabled=autocast):
            losses.append(model.loss(inputs)['loss'])
        losses[-1].backward()
    assert torch.equal(*losses)
    for name, gradient in gradients(plain).items():
        assert torch.allclose(gradients(frugal)[name], gradient, atol=1e-6), name


@pytest.mark.slow
@pytest.mark.parametrize(
    'plus, compile', [(False, True), (True, dict(backend='aot_eager'))], ids=['LooC, inductor', 'LooC++, no code made']
)
def test_compiled_encoders_give_the_same_loss_and_checkpoint(plus, compile):
    plain, compiled = (build(last_stage_per_space=plus, compile=each) for each in (False, compile))
    assert list(plain.state_dict()) == list(compiled.state_dict())
    inputs = views(plain)
    losses = [model.loss(inputs)['loss'] for model in (plain, compiled)]
    assert losses[1].item() == pytest.approx(losses[0].item(), abs=1e-5)
    for loss in losses:
        loss.backward()
    for name, gradient in gradients(plain).items():
        assert (gradients(compiled)[name] - gradient).norm() <= 1e-3 * gradient.norm() + 1e-6, name


def test_compilation_takes_the_encoders_of_queries_and_keys(monkeypatch):
    taken = []
    monkeypatch.setattr(torch.nn.Module, 'compile', lambda module, **options: taken.append((module, options)))
    model = build(compile=dict(mode='reduce-overhead'))
    assert [id(module) for module, _ in taken] == [id(model.backbone), id(model.key_backbone)]
    assert taken[0][1] == dict(mode='reduce-overhead')
    taken.clear()
    model = build(compile=True, last_stage_per_space=True)
    assert len(taken) == 8 and {id(module) for module, _ in taken} >= {
        id(head.last_stage) for head in [*model.neck.heads.values(), *model.key_heads.values()]
    }
    taken.clear()
    build()
    assert not taken
