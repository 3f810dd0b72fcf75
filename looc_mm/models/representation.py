"""What leaves the network: the shared feature V and the choice of spaces.

Shapes
    B  images        C  feature width        h', w'  a feature map
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.model import ImgDataPreprocessor
from mmpretrain.models import ClsDataPreprocessor
from torch import Tensor, nn


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
        f"MMPreTrain set out_type='cls_token' or 'avg_featmap'; timm's give tokens, take MMPreTrain's instead."
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


def representation(model: nn.Module, images: Tensor, spaces: Sequence[str] | None = None) -> Tensor:
    """The features of any model with a backbone: ours, or one of MMPreTrain's.

    Args:
        model: With spaces, one like :class:`MultiHead`; else its ``backbone`` is pooled.
        images: (B, 3, h, w), normalised.
        spaces: None for V; else names of spaces.

    Returns:
        (B, C) float.

    Raises:
        ValueError: If the model has no such spaces.
    """
    if hasattr(model, 'spaces'):
        return model.extract_feat(images, spaces)  # type: ignore[operator]
    if spaces is not None:
        raise ValueError(f'{type(model).__name__} has no spaces, and {list(spaces)} were asked for. Leave them out.')
    return encode(model.backbone, images)  # type: ignore[arg-type]


def all_representations(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """'V' and every space of any model with a backbone, in one pass; see :func:`representation`."""
    if hasattr(model, 'extract_all'):
        return model.extract_all(images)  # type: ignore[operator]
    spaces = getattr(model, 'spaces', ())
    return {'V': representation(model, images), **{space: representation(model, images, [space]) for space in spaces}}


def choose(parts: Mapping[str, Tensor], spaces: Sequence[str] | None = None) -> Tensor:
    """One representation out of all.

    Args:
        parts: What :func:`all_representations` gives, (B, C) each.
        spaces: None for V, which in LooC++ is all spaces; else names of spaces.

    Returns:
        (B, C), of spaces concatenated in the given order.
    """
    names = list(spaces) if spaces is not None else ['V'] if 'V' in parts else list(parts)
    return parts[names[0]] if len(names) == 1 else torch.cat([parts[name] for name in names], 1)


def representation_state(model: nn.Module) -> dict[str, Tensor]:
    """The weights and buffers that a model's representations depend on, by name."""
    prefixes = getattr(model, 'representation_prefixes', ('backbone.',))
    tensors = {**model.state_dict(), **dict(model.named_buffers())}
    return {name: each for name, each in tensors.items() if name.startswith((*prefixes, 'data_preprocessor.'))}


def check_spaces(asked: Sequence[str], spaces: Sequence[str]) -> None:
    """Refuse names that are no spaces of the model.

    Raises:
        ValueError: With both lists.
    """
    unknown = [space for space in asked if space not in spaces]
    if unknown or not asked or isinstance(asked, str):
        raise ValueError(f'Asked for the spaces {asked}; the model has {list(spaces)}. Leave them out to get V.')
