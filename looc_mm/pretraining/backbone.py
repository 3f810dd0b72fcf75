"""The network that ``looc pretrain --backbone`` names, and what its pretrained weights need."""

from typing import Any

import torch
import torchvision
from torch import nn

from looc_mm.channels import output_channels
from looc_mm.models.timm_features import TimmFeatures, load_pretrained, need_timm, weights_config

from .settings import Network

#: Networks of torchvision whose layers, and names of weights, are those of timm's network of the same name.
FAMILIES = ('resnet', 'resnext', 'wide_resnet')
#: The tag of timm for torchvision's weights; their statistics and size hold for any file of torchvision.
TORCHVISION_TAG = 'tv_in1k'
#: Largest side that is taken from pretrained weights, in pixels.
LARGEST = 224
#: Peak memory of a step divided by what its query stores for the backward pass: 47 / 41 MiB for ResNet-50.
PEAK = 1.15


def timm_name(backbone: str) -> str:
    """timm's name of a network, with a tag of weights where they are torchvision's.

    Args:
        backbone: 'timm/NAME' or 'torchvision/NAME'.

    Raises:
        ValueError: It is neither, or torchvision's network is not one of timm's.
        ImportError: timm is not installed.
    """
    library, _, name = backbone.partition('/')
    if library not in ('timm', 'torchvision') or not name:
        raise ValueError(
            f'Got the backbone {backbone!r}; give timm/NAME, such as timm/convnext_atto, or torchvision/NAME, such as '
            f'torchvision/resnet50.'
        )
    if library == 'timm':
        return name
    listed = [each for each in torchvision.models.list_models(torchvision.models) if each.startswith(FAMILIES)]
    allowed = [each for each in listed if f'{each}.{TORCHVISION_TAG}' in need_timm().list_pretrained(each)]
    if name not in allowed:
        raise ValueError(
            f'Got the backbone {backbone!r}; of torchvision {", ".join(allowed)} are allowed. timm/NAME has more '
            f'networks.'
        )
    return f'{name}.{TORCHVISION_TAG}'


def find_backbone(backbone: str, pretrained: bool = False, weights: str | None = None) -> Network:
    """A network of timm, as :func:`looc_mm.pretraining.settings.choose` takes it.

    Pretrained weights are loaded once, so that an error of them comes before the work.

    Args:
        backbone: As of :func:`timm_name`.
        pretrained: Whether to start with timm's weights, from the hub.
        weights: A file, or a folder with config.json, to start with.

    Raises:
        ValueError: There is no such network, or the weights cannot be loaded or are those of another network.
        ImportError: timm is not installed.
    """
    name = timm_name(backbone)
    network = TimmFeatures(name, img_size=LARGEST)
    source: bool | str = weights or pretrained
    config: dict[str, Any] = dict(type='TimmFeatures', name=name)
    found: dict[str, Any] = {}
    if source:
        about = weights_config(name, source)
        load_pretrained(name, source, network.settings)
        config['pretrained'] = source
        side = min(about['input_size'][-1], LARGEST)
        found = dict(mean=tuple(about['mean']), std=tuple(about['std']), side=side, pretrained=True)
    start = f'weights in {weights}' if weights else "timm's pretrained weights" if pretrained else 'random weights'
    width = output_channels(network, LARGEST)
    return Network(
        name=name.partition('.')[0],
        title=f'{name} of timm, {start}',
        backbone=config,
        width=width,
        hidden=max(512, width),
        memory=PEAK * stored_for_backward(network, LARGEST) / 2,  # bfloat16 has half of the bytes
        **found,
    )


def stored_for_backward(network: nn.Module, side: int) -> float:
    """What a network stores of one picture for the backward pass, in MiB of float32, without its weights.

    Args:
        network: Takes (2, 3, side, side).
        side: In pixels.
    """
    weights = {each.untyped_storage().data_ptr() for each in (*network.parameters(), *network.buffers())}
    stored: dict[int, int] = {}

    def count(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            stored[storage.data_ptr()] = storage.nbytes()
        return tensor

    network.train()
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        result = network(torch.zeros(2, 3, side, side))
    del result
    return sum(stored.values()) / 2 / 2**20
