"""The chosen representation as a network, and its file.

Shapes
    B  images of one batch        C  width of all blocks side by side        K  classes
"""

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from looc_mm.evaluation import FeatureSource, LinearClassifier
from looc_mm.export.features import need
from looc_mm.export.network import check_numbers, export_onnx
from looc_mm.files import atomic_write
from looc_mm.models.representation import frozen, preprocess, representations, select

FORMATS = ('onnx', 'safetensors')
#: Pictures on which the written network is compared with the features that it was fitted on.
COMPARED = 64
#: Largest relative difference. Standardising enlarges rounding errors, by mean / deviation of a channel.
TOLERANCE = 1e-3


class Projection(nn.Module):
    """Blocks side by side, standardised and scaled, and perhaps the logits of classes.

    Args:
        x: (N, C) features that it is fitted on.
        scale: (C,) of each channel.
        classifier: Of the same features as they are; None for none.
    """

    def __init__(self, x: Tensor, scale: Tensor, classifier: LinearClassifier | None) -> None:
        super().__init__()
        std, mean = torch.std_mean(x.double().cpu(), 0, correction=0)
        factor = scale / torch.where(std > 1e-6 * mean.abs(), std, 1.0)
        self.mean = nn.Buffer(mean.float())
        self.factor = nn.Buffer(factor.float())
        self.layer = None
        if classifier is not None:
            weight, bias = classifier.weight.cpu(), classifier.bias.cpu()
            self.layer = nn.Linear(weight.shape[1], weight.shape[0])
            self.layer.load_state_dict({'weight': weight / factor, 'bias': bias + weight @ mean})
            self.layer.requires_grad_(False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """``features`` (B, C) and, with a classifier, ``logits`` (B, K), of blocks side by side, (B, C)."""
        features = (x - self.mean) * self.factor
        return {'features': features, **({} if self.layer is None else {'logits': self.layer(features)})}


class FittedNetwork(nn.Module):
    """A network whose representations are ``features`` and perhaps ``logits``.

    Args:
        model: With the blocks.
        blocks: Names of those that are used.
        projection: Of these blocks.
    """

    def __init__(self, model: nn.Module, blocks: Sequence[str], projection: Projection) -> None:
        super().__init__()
        self.model = model
        self.blocks = list(blocks)
        self.projection = projection
        self.data_preprocessor = model.data_preprocessor
        self.representation_names = ['features'] if projection.layer is None else ['features', 'logits']

    def representations(self, images: Tensor) -> dict[str, Tensor]:
        """Of (B, 3, h, w) normalised images."""
        return self.projection(select(representations(self.model, images), self.blocks))


def check_format(name: str) -> None:
    """Find out before the work whether :func:`write_network` can write a format.

    Raises:
        ValueError: It is not among the allowed.
        ImportError: A package is not installed.
    """
    if name not in FORMATS:
        raise ValueError(f'Got the format {name!r}; allowed are {list(FORMATS)}.')
    for module in ('onnx', 'onnxruntime', 'onnxscript') if name == 'onnx' else ('safetensors',):
        need(module, 'onnx onnxscript onnxruntime' if name == 'onnx' else 'safetensors')


def write_network(
    network: FittedNetwork, source: FeatureSource, out: Path, size: int, about: dict[str, Any]
) -> dict[str, Any]:
    """Write the network as ONNX, or the projection and classifier as safetensors, and compare the file's numbers.

    Args:
        network: What is written.
        source: The features that it was fitted on; the file is compared with the first of its training pictures.
        out: ``.onnx`` or ``.safetensors``. A file of safetensors has ``mean``, ``factor`` and perhaps
            ``layer.weight`` and ``layer.bias``, for the blocks of the checkpoint side by side.
        size: Side of the view in pixels.
        about: Metadata of the file.

    Returns:
        The metadata, with the largest ``difference`` to the features.

    Raises:
        ValueError: The numbers differ by more than 1e-3 of the size of the features; there is no file then.
    """
    count = min(COMPARED, len(source.dataset('train')))
    found = source.feature_set('train')
    parts = {name: x[:count].cpu() for name, x in found.parts.items()}
    own = network.projection.cpu()(select(parts, network.blocks))
    if out.suffix == '.onnx':
        device = next(network.model.parameters()).device
        network.projection.to(device)
        about = {**about, **export_onnx(network, out, network.representation_names, size, about)}
        session = importlib.import_module('onnxruntime').InferenceSession(str(out), providers=['CPUExecutionProvider'])
        images = torch.stack([source.dataset('train')[index]['inputs'] for index in range(count)])
        with frozen(network):
            views = preprocess(network, {'inputs': images.to(device)}).cpu().numpy()
        other = dict(zip(own, map(torch.from_numpy, session.run(list(own), {'images': views})), strict=True))
    else:
        safetensors = importlib.import_module('safetensors.torch')
        texts = {key: json.dumps(value) for key, value in about.items()}
        with atomic_write(out) as part:
            part.write_bytes(safetensors.save(network.projection.state_dict(), {'format': 'pt', **texts}))
        state = safetensors.load_file(out)
        features = (select(parts, network.blocks) - state['mean']) * state['factor']
        other = {'features': features}
        if 'layer.weight' in state:
            other['logits'] = features @ state['layer.weight'].T + state['layer.bias']
    try:
        who, remedy = f'{out.name}, on pictures that it was fitted on,', 'Take --format safetensors.'
        differences = [check_numbers(own[name], other[name], f'{name} of {who}', remedy, TOLERANCE) for name in own]
    except ValueError:
        out.unlink()
        raise
    return {**about, 'difference': max(differences)}
