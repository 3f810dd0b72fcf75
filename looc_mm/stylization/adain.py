"""AdaIN style transfer (Huang & Belongie, 2017): the network, and the files that hold its weights.

Shapes
    B  pictures     K  styles of each     C = 512  channels of relu4_1
    H, W  pixels    h, w = H / 8, W / 8, rounded up
"""

import pickle
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

EPS = 1e-5  # on the variance, as where the published decoder was trained
VGG_MODULES = 53  # of vgg_normalised.pth, up to relu5_4


def statistics(features: Tensor) -> Tensor:
    """Mean and deviation of each channel: (..., 2, C) of features (..., C, h, w)."""
    var, mean = torch.var_mean(features, (-2, -1), correction=0)
    return torch.stack([mean, (var + EPS).sqrt()], -2)


def restyle(features: Tensor, style: Tensor) -> Tensor:
    """Give features (..., C, h, w) the :func:`statistics` (..., 2, C) of a style."""
    (mean, std), (new_mean, new_std) = (each[..., None, None].unbind(-4) for each in (statistics(features), style))
    return (features - mean) / std * new_std + new_mean


def adain(content: Tensor, style: Tensor) -> Tensor:
    """Adaptive instance normalisation, eq. 8: sigma(y) (x - mu(x)) / sigma(x) + mu(y) in each channel.

    Args:
        content: x, features (B, C, h, w).
        style: y, features (B, C, h', w').

    Returns:
        (B, C, h, w).
    """
    return restyle(content, statistics(style))


def _convs(*channels: int) -> Iterator[nn.Module]:
    for narrow, wide in zip(channels, channels[1:], strict=False):
        yield from (nn.ReflectionPad2d(1), nn.Conv2d(narrow, wide, 3), nn.ReLU(inplace=True))


class Stylizer(nn.Module):
    """VGG-19 up to relu4_1, AdaIN, and a decoder back to pixels; laid out as pytorch-AdaIN's weight files are.

    Without weights it is random, the same each time, which makes no stylisations.

    Args:
        vgg: ``vgg_normalised.pth`` of pytorch-AdaIN, an ``nn.Sequential`` of 53 modules, of which the first 31 count.
        decoder: Its ``decoder.pth``.

    Raises:
        ValueError: If a file holds something else.
    """

    def __init__(self, vgg: str | Path | None = None, decoder: str | Path | None = None) -> None:
        super().__init__()
        pool, up = nn.MaxPool2d(2, ceil_mode=True), nn.Upsample(scale_factor=2)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.encoder = nn.Sequential(
                *(nn.Conv2d(3, 3, 1), *_convs(3, 64, 64), pool, *_convs(64, 128, 128), pool),
                *(*_convs(128, 256, 256, 256, 256), pool, *_convs(256, 512)),
            )
            self.decoder = nn.Sequential(
                *(*_convs(512, 256), up, *_convs(256, 256, 256, 256, 128), up, *_convs(128, 128, 64), up),
                *(*_convs(64, 64), nn.ReflectionPad2d(1), nn.Conv2d(64, 3, 3)),
            )
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, nonlinearity='relu')
        if vgg is not None:
            _load(self.encoder, vgg, VGG_MODULES, 'what --vgg takes, vgg_normalised.pth')
        if decoder is not None:
            _load(self.decoder, decoder, len(self.decoder), 'what --decoder takes, decoder.pth')
        self.eval().requires_grad_(False)

    def style(self, images: Tensor) -> Tensor:
        """What is kept of styles: :func:`statistics` (B, 2, C) of images (B, 3, H, W) in [0, 1]."""
        return statistics(self.encoder(images))

    def forward(self, content: Tensor, styles: Tensor, alpha: float = 1.0) -> Tensor:
        """Stylise every image in K ways, each pixel in its place.

        Args:
            content: (B, 3, H, W) RGB in [0, 1].
            styles: (B, K, 2, C), what :meth:`style` gave.
            alpha: Share of the style, from 0 to 1.

        Returns:
            (B, K, 3, H, W) in [0, 1].
        """
        features = self.encoder(content)[:, None]  # B x 1 x C x h x w
        mixed = torch.lerp(features, restyle(features, styles), alpha)  # B x K x C x h x w
        out = self.decoder(mixed.flatten(0, 1))[..., : content.shape[-2], : content.shape[-1]]
        return out.clamp(0, 1).unflatten(0, styles.shape[:2])


def _load(network: nn.Sequential, path: str | Path, modules: int, what: str) -> None:
    """Fill a network from a state dict, of which the modules behind the network's are left out."""
    try:
        loaded = torch.load(path, map_location='cpu', weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(
            f'{path} is no state dict that torch.load(weights_only=True) reads, {what}: {error}'
        ) from error
    state = loaded if isinstance(loaded, dict) else {}
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    shapes = {str(key): tuple(getattr(value, 'shape', ())) for key, value in state.items()}
    later = {f'{index}.{kind}' for index in range(len(network), modules) for kind in ('weight', 'bias')}
    got = {key: shape for key, shape in shapes.items() if key not in later}
    if got != expected:
        wrong = {key: got.get(key, 'missing') for key in expected if got.get(key) != expected[key]}
        wrong |= {key: 'unexpected' for key in got if key not in expected}
        some = ', '.join(
            f'{key}: {value} instead of {expected.get(key, "none")}' for key, value in [*wrong.items()][:3]
        )
        raise ValueError(
            f'{path} is not {what}, of pytorch-AdaIN: {len(wrong)} entries differ, such as {some}. '
            'Get vgg_normalised.pth and decoder.pth from the releases of github.com/naoto0804/pytorch-AdaIN.'
        )
    network.load_state_dict({key: state[key] for key in expected})
