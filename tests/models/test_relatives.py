"""AugSelf, CASSLE and E-SSL: the loss that each adds to MoCo's, or changes in it, by its formula."""

import copy
import math

import pytest
import torch
from torch import nn

from .test_multi_head_moco import build

CANVAS = {'inputs': torch.randint(0, 255, (6, 3, 40, 40), generator=torch.Generator().manual_seed(0)).byte()}
RELATIVES = dict(
    AugSelf=dict(predict=['crop', 'rotation', 'color', 'flip'], predictor_channels=16),
    CASSLE=dict(condition=['crop', 'color']),
    ESSL=dict(predictor_channels=16),
)


def relative(kind: str, **kwargs):
    kwargs = {**RELATIVES[kind], **kwargs}
    neck = dict(type='QueuePerHeadNeck', in_channels=64, hid_channels=16, out_channels=8, queue_len=12)
    model = build([], type=kind, neck=neck, momentum=1.0, **kwargs)
    model.init_weights()
    return model.eval()  # batch norm fixed, so that company does not matter


def batch(model) -> dict:
    torch.manual_seed(1)
    return model.data_preprocessor(CANVAS, training=True)


@pytest.mark.parametrize('kind', RELATIVES)
def test_a_step_learns_and_the_representation_is_v(kind):
    model = relative(kind).train()
    losses = model(**batch(model), mode='loss')
    losses['loss'].backward()
    assert all(parameter.grad is not None for parameter in model.parameters() if parameter.requires_grad)
    images = torch.randn(2, 3, 32, 32)
    v = model.eval().extract_feat(images)
    assert v.shape == (2, 64) and torch.equal(model.representations(images)['V'], v)
    assert list(model.representations(images)) == list(model.representation_names)
    assert ('invariant' in model.representations(images)) == (kind != 'CASSLE')
    if kind == 'CASSLE':
        with pytest.raises(ValueError, match=r'CASSLE has \[\].*get V'):
            model.extract_feat(images, ['invariant'])


def centre(table, view, row):
    """x and y of the middle of a crop, by its box."""
    left, top, width, height = table[view]['crop']['box'][row].tolist()
    return left + width / 2, top + height / 2, width, height


def test_augself_adds_the_error_of_the_predicted_differences():
    """Image by image, in both orders: crop as the first view shows it, colour without gray, angle and flip by class."""
    model = relative('AugSelf', weight=0.25)
    made = batch(model)
    reference = copy.deepcopy(model)
    losses = model(**made, mode='loss')
    table = made['table']
    assert table['q']['flip']['flip'].any() and table['k_0']['flip']['flip'].any()
    with torch.no_grad():
        features = {
            'q': reference.backbone(made['inputs'][0])[-1].mean((2, 3)),
            'k_0': reference.key_backbone(made['inputs'][1])[-1].mean((2, 3)),
        }
        errors = {name: [] for name in RELATIVES['AugSelf']['predict']}
        for one, two in (('q', 'k_0'), ('k_0', 'q')):
            for row in range(6):
                pair = torch.cat([features[one][row], features[two][row]])[None]
                out = {name: predictor(pair)[0] for name, predictor in reference.predictors.items()}
                target = [a - b for a, b in zip(centre(table, one, row), centre(table, two, row), strict=True)]
                target[0] *= -1 if table[one]['flip']['flip'][row] else 1
                errors['crop'] += [(math.tanh(o) - t) ** 2 for o, t in zip(out['crop'], target, strict=True)]
                first, second = (table[view]['color'] for view in (one, two))
                target = [
                    (float(a - b)) / 0.8 for a, b in zip(first['factors'][row], second['factors'][row], strict=True)
                ]
                target.append(float(first['hue'][row] - second['hue'][row]) / 0.2)
                errors['color'] += [(math.tanh(o) - t) ** 2 for o, t in zip(out['color'], target, strict=True)]
                turns = int(table[one]['rotation']['quarter_turns'][row] - table[two]['rotation']['quarter_turns'][row])
                errors['rotation'].append(-out['rotation'].log_softmax(0)[turns % 4].item())
                same = bool(table[one]['flip']['flip'][row] == table[two]['flip']['flip'][row])
                errors['flip'].append(-out['flip'].log_softmax(0)[int(same)].item())
        expected = MoCo_loss(reference, features['q'], features['k_0'])
        for name, each in errors.items():
            assert losses[f'predict_{name}'].item() == pytest.approx(sum(each) / len(each), abs=1e-4)
            expected = expected + 0.25 * sum(each) / len(each)
    assert losses['loss'].item() == pytest.approx(expected.item(), abs=1e-4)


def test_mlps_of_the_papers():
    augself = build([], type='AugSelf').predictors['color']
    assert [type(part).__name__ for part in augself] == [*['Linear', 'BatchNorm1d', 'ReLU'] * 2, 'Linear']
    assert [part.out_features for part in augself if isinstance(part, nn.Linear)] == [512, 512, 4]
    assert build([], type='AugSelf').weight == 0.5
    conditioner = relative('CASSLE').conditioner
    names = [*['Linear', 'BatchNorm1d', 'ReLU'] * 5, 'Linear', 'BatchNorm1d']
    assert [type(part).__name__ for part in conditioner] == names
    assert [part.out_features for part in conditioner if isinstance(part, nn.Linear)] == [64] * 6
    predictor = build([], type='ESSL').predictor
    assert [part.normalized_shape[0] for part in predictor if isinstance(part, nn.LayerNorm)] == [2048, 2048, 128]
    assert [part.out_features for part in predictor if isinstance(part, nn.Linear)] == [2048, 2048, 128, 4]


def test_cassle_tells_the_projector_how_a_view_was_augmented():
    model = relative('CASSLE', condition_channels=5)
    made = batch(model)
    reference = copy.deepcopy(model)
    losses = model(**made, mode='loss')
    table = made['table']
    with torch.no_grad():
        features = []
        for index, view in enumerate(('q', 'k_0')):
            rows = []
            for row in range(6):
                x, *others = centre(table, view, row)
                color = table[view]['color']
                factors = [(float(factor) - 1) / 0.8 for factor in color['factors'][row]]
                rows.append([1 - x if table[view]['flip']['flip'][row] else x, *others, *factors])
                rows[-1] += [float(color['hue'][row]) / 0.2, float(color['gray'][row])]
            omega = torch.tensor(rows)
            backbone = reference.key_backbone if index else reference.backbone
            conditioner = reference.key_conditioner if index else reference.conditioner
            features.append(torch.cat([backbone(made['inputs'][index])[-1].mean((2, 3)), conditioner(omega)], 1))
        assert losses['loss'].item() == pytest.approx(MoCo_loss(reference, *features).item(), abs=1e-5)
    model.momentum = 0.9
    with torch.no_grad():
        for parameter in model.conditioner.parameters():
            parameter.add_(1)
    before = copy.deepcopy(model)
    model.update_key_encoder()
    for old, query, new in zip(
        before.key_conditioner.parameters(),
        model.conditioner.parameters(),
        model.key_conditioner.parameters(),
        strict=True,
    ):
        assert torch.allclose(new, 0.9 * old + 0.1 * query)


def test_essl_adds_the_error_of_the_predicted_rotations():
    model = relative('ESSL', weight=0.3, small_scale=(0.2, 0.5))
    made = batch(model)
    assert made['extra'].shape == (6, 3, 14, 14), '96 / 224 of 32 pixels'
    reference = copy.deepcopy(model)
    losses = model(**made, mode='loss')
    with torch.no_grad():
        v = reference.backbone(made['inputs'][0])[-1].mean((2, 3))
        v_k = reference.key_backbone(made['inputs'][1])[-1].mean((2, 3))
        errors = [
            -reference.predictor(
                reference.backbone(torch.rot90(image, turns, (1, 2))[None])[-1].mean((2, 3))
            ).log_softmax(1)[0, turns]
            for image in made['extra']
            for turns in range(4)
        ]
        expected = MoCo_loss(reference, v, v_k) + 0.3 * torch.stack(errors).mean()
    assert losses['loss'].item() == pytest.approx(expected.item(), abs=1e-4)


def test_the_small_crop_is_independent_of_the_views():
    model = relative('ESSL')
    pipeline, extra = model.data_preprocessor.pipeline, model.data_preprocessor.extra
    assert extra.views == ('q',) and extra.spaces == ('invariant',)
    assert [each.name for each in extra.augmentations] == [each.name for each in pipeline.augmentations]
    table = extra.sample(400, torch.Generator().manual_seed(0), (300, 300))
    area = table['q']['crop']['box'][:, 2:].prod(1)
    assert 0.045 < area.min() < 0.06 and 0.13 < area.max() < 0.145
    plain, inputs = build([]), batch(model)['inputs']
    torch.manual_seed(1)
    assert torch.equal(inputs, plain.data_preprocessor(CANVAS, training=True)['inputs']), 'as in MoCo'


def MoCo_loss(model, v, v_k):  # noqa: N802
    q, k = model.neck.heads['invariant'](v), model.key_heads['invariant'](v_k)
    logits = torch.cat([(q * k).sum(1, keepdim=True), q @ model.neck.queues['invariant'].keys], 1) / 0.2
    return -logits.log_softmax(1)[:, 0].mean()


@pytest.mark.parametrize(
    'kind, arguments, message',
    [
        ('AugSelf', dict(predict=['texture']), r"predict=\['texture'\].*'crop', 'rotation', 'color', 'flip'"),
        ('CASSLE', dict(condition='crop'), "condition='crop'; it is a list"),
        (
            'ESSL',
            dict(data_preprocessor=dict(type='mmpretrain.SelfSupDataPreprocessor'), spaces=['invariant']),
            'ESSL draws a small crop of each canvas',
        ),
        (
            'CASSLE',
            dict(data_preprocessor=dict(type='mmpretrain.SelfSupDataPreprocessor'), spaces=['invariant']),
            'CASSLE reads the parameters of the views',
        ),
    ],
)
def test_wrong_arguments_are_refused(kind, arguments, message):
    with pytest.raises(ValueError, match=message):
        relative(kind, **arguments)
