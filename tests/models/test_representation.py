import pytest
import torch

from looc_mm.models.representation import (
    pooled,
    preprocess,
    representation_names,
    representation_state,
    representations,
    resolve_spaces,
    select,
)
from looc_mm.registry import MODELS

from .test_multi_head_moco import build


def test_a_map_is_averaged_and_a_vector_stays():
    features = torch.randn(2, 5, 3, 4)
    expected = torch.tensor([[features[b, c].flatten().tolist() for c in range(5)] for b in range(2)]).mean(2)
    assert torch.allclose(pooled((torch.zeros(1), features)), expected, atol=1e-6)
    assert torch.equal(pooled(features[:, :, 0, 0]), features[:, :, 0, 0])
    with pytest.raises(ValueError, match=r"gives \(2, 5, 3\).*out_type='cls_token'.*timm"):
        pooled(features[..., 0])


def test_any_model_of_mmpretrain_has_a_representation():
    backbone = dict(type='mmpretrain.ResNet', depth=18, base_channels=8, stem_channels=8)
    model = MODELS.build(dict(type='mmpretrain.ImageClassifier', backbone=backbone)).eval()
    images = torch.randn(2, 3, 32, 32)
    parts = representations(model, images)
    assert list(parts) == representation_names(model) == ['V']
    assert torch.allclose(parts['V'], model.backbone(images)[-1].mean((2, 3)), atol=1e-6)
    with pytest.raises(ValueError, match=r"\['color'\]; ImageClassifier has \[\]"):
        resolve_spaces(model, ['color'])
    with pytest.raises(ValueError, match=r"\['all'\]; ImageClassifier has \[\]"):
        resolve_spaces(model, ['all'])


@pytest.mark.parametrize('plus', [False, True])
def test_one_choice_out_of_all(plus):
    model, images = build(last_stage_per_space=plus).eval(), torch.randn(2, 3, 32, 32)
    parts = representations(model, images)
    assert list(parts) == representation_names(model) == ['V', *model.spaces][plus:]
    v = torch.cat(list(parts.values()), 1) if plus else parts['V']
    assert torch.equal(select(parts), v) and torch.equal(select(parts, ['V']), v)
    assert torch.equal(select(parts, ['color', 'invariant']), torch.cat([parts['color'], parts['invariant']], 1))
    assert torch.equal(model.extract_feat(images, ['color']), parts['color'])
    each = {'invariant': ['invariant'], 'rotation': ['rotation'], 'color': ['color']}
    assert resolve_spaces(model) == {'V': ['V']} and resolve_spaces(model, ['all']) == each
    assert list(resolve_spaces(model, ['V', 'all', 'color'])) == ['V', 'invariant', 'rotation', 'color']
    both = resolve_spaces(model, ['color+invariant', 'V'])
    assert both == {'color+invariant': ['color', 'invariant'], 'V': ['V']}
    for asked in ([], 'color', ['colour'], ['color+'], ['all+color']):
        with pytest.raises(ValueError, match=r"MultiHeadMoCo has \['invariant', 'rotation', 'color'\]"):
            resolve_spaces(model, asked)
    with pytest.raises(ValueError, match='there are'):
        select(parts, ['colour'])


def test_representations_depend_on_their_state_alone():
    model, images = build().eval(), torch.randn(2, 3, 32, 32)
    before = select(representations(model, images), representation_names(model))
    own = representation_state(model)
    assert {'data_preprocessor.mean', 'neck.heads.color.0.weight', 'backbone.bn1.running_mean'} <= set(own)
    for name, value in model.state_dict().items():
        if name not in own and value.is_floating_point():
            value.normal_()
    assert torch.equal(select(representations(model, images), representation_names(model)), before)


@pytest.mark.parametrize('kind', ['ClsDataPreprocessor', 'SelfSupDataPreprocessor'])
def test_colours_reach_a_model_of_mmpretrain_as_in_its_training(kind):
    """Its own pipelines pack BGR, and it converts; canvases are RGB."""
    config = dict(type=f'mmpretrain.{kind}', mean=[0.0, 0, 0], std=[1.0, 1, 1], to_rgb=True)
    model = torch.nn.Module()
    model.data_preprocessor = MODELS.build(config)
    red = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    red[:, 0] = 200
    got = preprocess(model, {'inputs': red, 'image_size': torch.zeros(2, 2), 'labels': {'gt_label': torch.zeros(2)}})
    assert torch.equal(got, red.float()), 'red stays red'
    ours = build()
    assert torch.equal(preprocess(ours, {'inputs': red}), ours.data_preprocessor({'inputs': red})['inputs'])
