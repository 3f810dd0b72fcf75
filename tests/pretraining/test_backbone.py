"""Networks of --backbone: names, weights from files that the tests write, and what their settings follow from."""

import pytest
import torch
import torchvision
from torch import nn

pytest.importorskip('timm')

from looc_mm.models.timm_features import TimmFeatures  # noqa: E402
from looc_mm.pretraining.backbone import find_backbone, stored_for_backward, timm_name  # noqa: E402
from looc_mm.pretraining.settings import NETWORKS, choose  # noqa: E402

from ..models.test_timm_features import folder_of  # noqa: E402
from .test_settings import H100, LAPTOP  # noqa: E402


def test_names():
    assert timm_name('timm/vit_tiny_patch16_224') == 'vit_tiny_patch16_224'
    assert timm_name('torchvision/resnet50') == 'resnet50.tv_in1k'
    for wrong in ('resnet50', 'keras/resnet50', 'timm/'):
        with pytest.raises(ValueError, match=f"backbone '{wrong}'; give timm/NAME"):
            timm_name(wrong)
    with pytest.raises(ValueError, match=r'of torchvision resnet101, .*resnet18, .*wide_resnet50_2 are allowed'):
        timm_name('torchvision/vit_b_16')
    with pytest.raises(ValueError, match="no network 'resnet19'.*resnet18"):
        find_backbone('timm/resnet19')


@pytest.mark.parametrize('name', ['resnet18', 'resnet50'])
def test_weights_of_torchvision(name, tmp_path):
    """timm's network with the file gives the features of torchvision's network, to the bit."""
    torch.manual_seed(0)
    network = torchvision.models.get_model(name, weights=None)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    torch.save(network.state_dict(), tmp_path / 'a.pth')
    found = find_backbone(f'torchvision/{name}', weights=str(tmp_path / 'a.pth'))
    assert (found.name, found.width, found.side, found.pretrained) == (name, network.fc.in_features, 224, True)
    assert found.mean == (0.485, 0.456, 0.406) and found.std == (0.229, 0.224, 0.225)
    arguments = {key: value for key, value in found.backbone.items() if key != 'type'}
    own = TimmFeatures(**arguments)
    own.init_weights()
    own.eval()
    network.fc = nn.Identity()
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(own(images)[0], network.eval()(images), rtol=1e-5, atol=1e-6)


def test_a_folder_of_weights(tmp_path):
    folder_of(tmp_path / 'a', 'resnet10t', mean=(0.5, 0.5, 0.5))
    found = find_backbone('timm/resnet10t', weights=str(tmp_path / 'a'))
    assert found.mean == (0.5, 0.5, 0.5) and found.std == (0.229, 0.224, 0.225) and found.side == 224
    assert found.backbone == dict(type='TimmFeatures', name='resnet10t', pretrained=str(tmp_path / 'a'))
    assert found.title == f'resnet10t of timm, weights in {tmp_path / "a"}'
    for facts in (LAPTOP, H100):
        settings = choose(facts, found)
        assert settings.size == 224 and 'pretrained weights' in settings.reasons['views']
        assert choose(facts, found, 96).size == 96
    with pytest.raises(ValueError, match='those of resnet10t, and the backbone is resnet18'):
        find_backbone('timm/resnet18', weights=str(tmp_path / 'a'))
    with pytest.raises(ValueError, match='does not exist'):
        find_backbone('timm/resnet18', weights=str(tmp_path / 'b'))


def test_random_weights_have_no_size_of_their_own():
    found = find_backbone('timm/resnet10t')
    assert (found.side, found.mean, found.pretrained) == (None, None, False)
    assert choose(LAPTOP, found).size == choose(LAPTOP).size == 64


def test_without_a_connection_the_error_names_the_local_way(monkeypatch, tmp_path):
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_CACHE', str(tmp_path))
    with pytest.raises(ValueError, match=r"timm's weights of resnet10t cannot be loaded: .*--weights of \"looc pret"):
        find_backbone('timm/resnet10t', pretrained=True)


def test_what_is_stored_for_the_backward_pass():
    """A convolution stores its input, and ReLU its output; weights do not count."""
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU())
    assert stored_for_backward(network, 32) == pytest.approx((3 + 4) * 32 * 32 * 4 / 2**20)


@pytest.mark.parametrize('name', ['resnet18', 'resnet50'])
def test_memory_is_that_of_the_table(name):
    """docs/performance.md has the measured value of ResNet-50."""
    assert find_backbone(f'timm/{name}').memory == pytest.approx(NETWORKS[name].memory, rel=0.15)
