"""The width of a backbone's output, found by a forward pass without numbers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

SIDE = 64  # pixels, where the size of the views is not known


def output_channels(backbone: nn.Module, side: int | None = None) -> int:
    """C of a backbone that gives (B, C, h, w) or (B, C), or a sequence of outputs whose last one counts.

    Its first convolution gives the number of channels that it takes; 3 without a convolution.

    The pass runs on the meta device, which computes shapes alone. Networks that need numbers run once on zeros.

    Args:
        backbone: Left as it is.
        side: Of the pictures in pixels; None for 64.

    Raises:
        ValueError: It does not run on such pictures, or gives something else.
    """
    first = next((each for each in backbone.modules() if isinstance(each, nn.Conv2d)), None)
    shape = (1, 3 if first is None else first.in_channels, side or SIDE, side or SIDE)
    tensors = {**dict(backbone.named_parameters()), **dict(backbone.named_buffers())}
    device = next(iter(tensors.values())).device if tensors else torch.device('cpu')
    with _evaluated(backbone), torch.no_grad():
        try:
            meta = {name: each.to('meta') for name, each in tensors.items()}
            found: Any = functional_call(backbone, meta, (torch.empty(shape, device='meta'),))
        except Exception:
            try:
                found = backbone(torch.zeros(shape, device=device))
            except Exception as error:
                raise ValueError(
                    f'{type(backbone).__name__} does not run on a picture of {shape[2]} x {shape[3]} px, by which its '
                    f'width would be found: {error}. Set model.neck.in_channels to its width, or give it pictures of a '
                    f'size that it takes.'
                ) from error
    last = found[-1] if isinstance(found, Sequence) else found
    if not isinstance(last, Tensor) or last.ndim not in (2, 4):
        got = tuple(last.shape) if isinstance(last, Tensor) else type(last).__name__
        raise ValueError(
            f'{type(backbone).__name__} gives {got}; needed is a feature map (B, C, h, w) or a vector (B, C).'
        )
    return last.shape[1]


@contextmanager
def _evaluated(network: nn.Module) -> Iterator[None]:
    """Evaluation mode, and then the mode that each module had."""
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
