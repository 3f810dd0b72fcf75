"""AugSelf, CASSLE and E-SSL: the loss that each adds to MoCo's, or changes in it, by its formula."""

import copy

import pytest
import torch
import torch.nn.functional as F

from looc_mm.models.relative import vector_widths

from .test_multi_head_moco import build

CANVAS = {'inputs': torch.randint(0, 255, (6, 3, 40, 40), generator=torch.Generator().manual_seed(0)).byte()}
RELATIVES = dict(AugSelf=dict(predict=['crop', 'rotation']), CASSLE={}, ESSL=dict(predictor_channels=16))


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


def test_augself_adds_the_error_of_the_predicted_differences():
    model = relative('AugSelf', weight=0.5).train()
    model.backbone.eval(), model.key_backbone.eval()
    made = batch(model)
    reference = copy.deepcopy(model)
    losses = model(**made, mode='loss')
    table, pipeline = made['table'], model.data_preprocessor.pipeline
    with torch.no_grad():
        v = reference.backbone(made['inputs'][0])[-1].mean((2, 3))
        v_k = reference.key_backbone(made['inputs'][1])[-1].mean((2, 3))
        moco = MoCo_loss(reference, v, v_k)
        expected = moco
        for augmentation in pipeline.augmentations[:2]:
            q, k = (augmentation.vector(table[view][augmentation.name]) for view in ('q', 'k_0'))
            target = (q - k - (q - k).mean(0)) / ((q - k).var(0, unbiased=False) + 1e-5).sqrt()
            error = (reference.predictors[augmentation.name](torch.cat([v, v_k], 1)) - target).square().mean()
            assert losses[f'predict_{augmentation.name}'].item() == pytest.approx(error.item(), abs=1e-4)
            expected = expected + 0.5 * error
    assert losses['loss'].item() == pytest.approx(expected.item(), abs=1e-4)


def test_cassle_tells_the_projector_how_a_view_was_augmented():
    model = relative('CASSLE', condition_channels=5)
    made = batch(model)
    reference = copy.deepcopy(model)
    losses = model(**made, mode='loss')
    augmentations = model.data_preprocessor.pipeline.augmentations
    with torch.no_grad():
        features = []
        for index, view in enumerate(('q', 'k_0')):
            omega = torch.cat([each.vector(made['table'][view][each.name]) for each in augmentations], 1)
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
    model = relative('ESSL', weight=0.3, shrink=2)
    made = batch(model)
    reference = copy.deepcopy(model)
    losses = model(**made, mode='loss')
    with torch.no_grad():
        v = reference.backbone(made['inputs'][0])[-1].mean((2, 3))
        v_k = reference.key_backbone(made['inputs'][1])[-1].mean((2, 3))
        small = F.interpolate(made['inputs'][0], (16, 16), mode='bilinear', antialias=True)
        errors = [
            -reference.predictor(
                reference.backbone(torch.rot90(image, turns, (1, 2))[None])[-1].mean((2, 3))
            ).log_softmax(1)[0, turns]
            for image in small
            for turns in range(4)
        ]
        expected = MoCo_loss(reference, v, v_k) + 0.3 * torch.stack(errors).mean()
    assert losses['loss'].item() == pytest.approx(expected.item(), abs=1e-4)


def MoCo_loss(model, v, v_k):  # noqa: N802
    q, k = model.neck.heads['invariant'](v), model.key_heads['invariant'](v_k)
    logits = torch.cat([(q * k).sum(1, keepdim=True), q @ model.neck.queues['invariant'].keys], 1) / 0.2
    return -logits.log_softmax(1)[:, 0].mean()


def test_widths_are_those_of_the_vectors():
    pipeline = relative('AugSelf').data_preprocessor.pipeline
    assert vector_widths(pipeline) == {'crop': 4, 'rotation': 2, 'color': 5, 'flip': 1}


@pytest.mark.parametrize(
    'kind, arguments, message',
    [
        ('AugSelf', dict(predict=['texture']), r"predict=\['texture'\].*'crop', 'rotation', 'color', 'flip'"),
        ('ESSL', dict(shrink=0.5), 'shrink=0.5.*at least 1'),
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
