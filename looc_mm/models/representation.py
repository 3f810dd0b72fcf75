"""What leaves the network: the shared feature V and the choice of spaces.

Shapes
    B  images        C  feature width        h', w'  a feature map
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.model import ImgDataPreprocessor
from torch import Tensor, nn

from looc_mm.stack import ClsDataPreprocessor

SPACES_HELP = '"V" (the default), a space, spaces joined by "+" (their concatenation), or "all" (each space)'


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients, and the mode put back."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def encode(backbone: nn.Module, images: Tensor, pool: bool = True) -> Tensor:
    """f of section 3: (B, 3, h, w) images to V, (B, C), or to the map that is not yet pooled, (B, C, h', w')."""
    features = backbone(images.contiguous(memory_format=torch.channels_last))
    return pooled(features) if pool else features[-1]


def pooled(features: Tensor | Sequence[Tensor]) -> Tensor:
    """V from a backbone's output.

    Args:
        features: What an MMPreTrain backbone gives, a tensor or a tuple of which the last entry counts:
            (B, C, h', w') or (B, C).

    Returns:
        (B, C), averaged over the map where there is one.

    Raises:
        ValueError: If the output is neither.
    """
    last = features if isinstance(features, Tensor) else features[-1]
    if isinstance(last, Tensor) and last.ndim == 4:
        return last.mean((2, 3))
    if isinstance(last, Tensor) and last.ndim == 2:
        return last
    got = tuple(last.shape) if isinstance(last, Tensor) else type(last).__name__
    raise ValueError(
        f'The backbone gives {got}; needed is a feature map (B, C, h, w) or a vector (B, C). For a transformer of '
        f"MMPreTrain set out_type='cls_token' or 'avg_featmap'; for one of timm take TimmFeatures."
    )


def preprocess(model: nn.Module, batch: dict) -> Tensor:
    """Canvases as the model's own preprocessor normalises them, without augmentation.

    Args:
        model: Any of ours or of MMPreTrain's, whose preprocessors take BGR images where they convert to RGB.
        batch: ``inputs``: (B, 3, H, W) uint8 RGB, as :class:`looc_mm.datasets.PackCanvas` gives them.

    Returns:
        (B, 3, H, W) float, on the model's device.
    """
    preprocessor: Any = model.data_preprocessor
    if not isinstance(preprocessor, ImgDataPreprocessor | ClsDataPreprocessor):
        return preprocessor(batch, False)['inputs']
    converts = getattr(preprocessor, '_channel_conversion', False) or getattr(preprocessor, 'to_rgb', False)
    images = batch['inputs'].flip(1) if converts else batch['inputs']
    return preprocessor({'inputs': images, 'data_samples': None}, False)['inputs']


def representations(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Every representation of any model with a backbone, in one pass; :func:`select` chooses from them.

    Args:
        model: Ours, which has a method of this name; or one of MMPreTrain's, whose ``backbone`` is pooled.
        images: (B, 3, h, w), normalised.

    Returns:
        'V' and every space to (B, C) float. LooC++ has no 'V' of its own: that is all its spaces, concatenated.
    """
    if hasattr(model, 'representations'):
        return model.representations(images)  # type: ignore[operator]
    return {'V': encode(model.backbone, images)}  # type: ignore[arg-type]


def representation_names(model: nn.Module) -> list[str]:
    """The names that :func:`representations` gives for a model."""
    return list(getattr(model, 'representation_names', ['V']))


def resolve_spaces(model: nn.Module, asked: Sequence[str] | None = None) -> dict[str, list[str]]:
    """The representations that a user asked for.

    Args:
        model: With spaces or without.
        asked: None for V; else names of representations: 'V', a space, several spaces joined by '+', which are
            concatenated in this order, or 'all' for each space.

    Returns:
        Each name to the names for :func:`select`, such as ``{'V': ['V'], 'color+rotation': ['color', 'rotation']}``.

    Raises:
        ValueError: A name is unknown, or there is none.
    """
    if asked is None:
        return {'V': ['V']}
    spaces = [name for name in representation_names(model) if name != 'V']
    names = [] if isinstance(asked, str) else [each for name in asked for each in (spaces if name == 'all' else [name])]
    found = {name: name.split('+') for name in names}
    if not found or not {'V', *spaces}.issuperset(part for parts in found.values() for part in parts):
        raise ValueError(
            f'Asked for the spaces {asked}; {type(model).__name__} has {spaces}. Give a list of some of them, of V, of '
            "names joined by + (their concatenation), or of 'all' (each space); leave them out to get V."
        )
    return found


def select(parts: Mapping[str, Tensor], names: Sequence[str] | None = None) -> Tensor:
    """One representation out of all.

    Args:
        parts: What :func:`representations` gives, (B, C) each.
        names: None for V; else 'V' or names of spaces. V of LooC++ is all its spaces.

    Returns:
        (B, C), of several names concatenated in the given order.

    Raises:
        ValueError: A name is unknown.
    """
    names = ['V'] if names is None else list(names)
    if not names or not {'V', *parts}.issuperset(names):
        raise ValueError(f'Asked for the representations {names}; there are {list(parts)}.')
    chosen: list[Tensor] = []
    for name in names:
        chosen += [parts[name]] if name in parts else parts.values()
    return chosen[0] if len(chosen) == 1 else torch.cat(chosen, 1)


def representation_state(model: nn.Module) -> dict[str, Tensor]:
    """The weights and buffers that a model's representations depend on, by name."""
    prefixes = getattr(model, 'representation_prefixes', ('backbone.',))
    tensors = {**model.state_dict(), **dict(model.named_buffers())}
    return {name: each for name, each in tensors.items() if name.startswith((*prefixes, 'data_preprocessor.'))}
