"""Pictures that are not 8-bit RGB: one entry of a config describes their channels, and everything else follows.

Shapes
    B  images in the batch        C  channels of a picture        H, W  a canvas
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn

from looc_mm.augmentations import StylizedTexture
from looc_mm.augmentations.base import check_channels
from looc_mm.datasets.channels import SETTINGS, Channels, Window, channel_settings
from looc_mm.models import LeaveOneOutPreprocessor
from looc_mm.registry import MODELS
from looc_mm.views import LeaveOneOutPipeline

#: Transforms that decode files.
LOADERS = ('LoadCanvas', 'LoadImageFromFile')


@MODELS.register_module()
class MultiChannelPreprocessor(LeaveOneOutPreprocessor):
    """:class:`LeaveOneOutPreprocessor` for pictures with any number of channels, of 8 bits, 16 bits or float.

    The entries that describe the pictures are here alone. :func:`share_channels` brings them to the backbone and to the
    transforms that load pictures.

    Args:
        pipeline: As of :class:`LeaveOneOutPreprocessor`.
        in_channels: C.
        bit_depth: Bits of the values that pictures use; 12 for values from 0 to 4095. For pictures of more than 8 bits.
        window: The values that become black and white, (low, high), or such a pair for each channel.
        mean: For values in [0, 1], one number for each channel. By default ImageNet's for 3 channels; otherwise 0.5.
        std: As ``mean``; otherwise 0.25.

    Attributes:
        channels: What the pictures are.

    Raises:
        ValueError: A setting is out of range, or an augmentation does not suit the number of channels.
    """

    channels: Channels

    def __init__(
        self,
        pipeline: dict | LeaveOneOutPipeline,
        in_channels: int,
        bit_depth: int | None = None,
        window: Window | None = None,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
    ) -> None:
        super().__init__(pipeline)
        channels = Channels.of(in_channels, bit_depth, window)
        assert channels is not None
        self.channels = channels
        for each in self.pipeline.augmentations:
            if isinstance(each, StylizedTexture):
                raise ValueError(
                    f'StylizedTexture has 8-bit RGB pictures to choose from, got in_channels={in_channels}.'
                )
            check_channels(each, in_channels)
        rgb = in_channels == 3
        self.mean = self._statistics('mean', mean, self.mean if rgb else 0.5)
        self.std = self._statistics('std', std, self.std if rgb else 0.25)

    def _statistics(self, name: str, values: Sequence[float] | None, default: Tensor | float) -> Tensor:
        """(C, 1, 1)."""
        count = self.channels.count
        if values is None:
            return default if isinstance(default, Tensor) else torch.full((count, 1, 1), default)
        if len(values) != count or not all(0 < each <= 1 or (name == 'mean' and each == 0) for each in values):
            raise ValueError(
                f'MultiChannelPreprocessor got {name}={list(values)}; allowed are {count} numbers, one for each '
                f'channel, {"above 0" if name == "std" else "from 0"} up to 1: values are in [0, 1], after the window.'
            )
        return torch.tensor(values, dtype=torch.float32).view(count, 1, 1)

    def _check(self, canvas: Any) -> None:
        """Refuse what is no batch (B, C, H, W) of canvases, uint8, or float32 in [0, 1]."""
        count = self.channels.count
        if not isinstance(canvas, Tensor) or canvas.ndim != 4 or canvas.shape[1] != count:
            got = tuple(canvas.shape) if isinstance(canvas, Tensor) else f'{type(canvas).__name__} of {len(canvas)}'
            raise ValueError(
                f'MultiChannelPreprocessor takes a batch (B, {count}, H, W) of canvases, {count} being in_channels, '
                f'and got {got}. End the dataset pipeline by LoadCanvas(in_channels={count}) and PackCanvas.'
            )


def channels_of(model: nn.Module) -> Channels | None:
    """The channels of the pictures that a model takes; None for 8-bit RGB."""
    return getattr(getattr(model, 'data_preprocessor', None), 'channels', None)


def share_channels(config: Any) -> None:
    """Bring ``in_channels``, ``bit_depth`` and ``window`` of the preprocessor to all that depends on them.

    These are ``model.backbone.in_channels`` and the transforms that load pictures, wherever they are in the config.

    Args:
        config: With a ``model``; changed in place.

    Raises:
        ValueError: The backbone has another number of channels.
    """
    model = config.get('model') or {}
    preprocessor = model.get('data_preprocessor') or {}
    if preprocessor.get('type') not in ('MultiChannelPreprocessor', MultiChannelPreprocessor):
        return
    settings = channel_settings(preprocessor)
    count = settings.get('in_channels')
    if model.get('backbone') and count is not None:
        found = model['backbone'].setdefault('in_channels', count)
        if found != count:
            raise ValueError(
                f'model.backbone.in_channels={found}, and model.data_preprocessor.in_channels={count}. Leave the first '
                f'one out: it follows from the second one.'
            )
    for step in _loaders(config):
        for key in SETTINGS:
            step.pop(key, None)
        step.update(settings)


def _loaders(value: Any) -> Iterator[Any]:
    """The configs of transforms that load pictures, at any depth."""
    if isinstance(value, dict | Config):
        kind = value.get('type')
        if getattr(kind, '__name__', kind) in LOADERS:
            yield value
        for each in value.values():
            yield from _loaders(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _loaders(each)
