import pytest
import torch

from looc_mm.models.representation import pooled, representation
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
    assert torch.allclose(representation(model, images), model.backbone(images)[-1].mean((2, 3)), atol=1e-6)
    with pytest.raises(ValueError, match=r"ImageClassifier has no spaces, and \['color'\] were asked for"):
        representation(model, images, ['color'])
    ours = build().eval()
    assert torch.equal(representation(ours, images, ['color']), ours.extract_feat(images, ['color']))
