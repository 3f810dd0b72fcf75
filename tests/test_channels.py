"""The width of a backbone's output, against a pass with numbers."""

import pytest
import torch
from torch import nn

from looc_mm.channels import output_channels
from looc_mm.registry import MODELS


class Tokens(nn.Module):
    def forward(self, images):
        return images.flatten(2)


class OfNumbers(nn.Module):
    """Its width follows from a value, which the meta device does not have."""

    def forward(self, images):
        return images.new_zeros(len(images), 5 + int(images.sum().item()))


@pytest.mark.parametrize(
    'config',
    [
        dict(type='ResNet', depth=18, base_channels=8, stem_channels=8, out_indices=(1, 2)),
        dict(type='ResNet', depth=18, in_channels=12),
        dict(type='ConvNeXt', arch='atto'),
        dict(type='VisionTransformer', arch='deit-tiny', img_size=32, patch_size=16, out_type='cls_token'),
        dict(type='TimmFeatures', name='mobilenetv3_small_050'),
    ],
    ids=lambda config: config['type'],
)
def test_it_is_that_of_a_pass_with_numbers(config):
    backbone = MODELS.build(config)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    modes = [module.training for module in backbone.modules()]
    random = torch.get_rng_state()
    found = output_channels(backbone, 32)
    assert torch.equal(random, torch.get_rng_state())
    assert [module.training for module in backbone.modules()] == modes and True in modes
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())
    backbone.eval()
    channels = config.get('in_channels', 3)
    assert found == backbone(torch.zeros(1, channels, 32, 32))[-1].shape[1]


def test_a_network_that_needs_numbers_gets_them():
    assert output_channels(OfNumbers()) == 5


def test_what_has_no_width_is_refused():
    with pytest.raises(ValueError, match=r'Tokens gives \(1, 3, 4096\); needed is a feature map'):
        output_channels(Tokens())
    fixed = MODELS.build(dict(type='VisionTransformer', arch='deit-tiny', img_size=224, out_type='avg_featmap'))
    fixed.patch_embed.projection = nn.Linear(7, 7)
    with pytest.raises(ValueError, match=r'does not run on a picture of 48 x 48 px.*model.neck.in_channels'):
        output_channels(fixed, 48)
