"""Taking the network away: its backbone for torchvision and timm, all of it as ONNX.

Shapes
    B  images of one batch        C  width of a representation        h, w  a view
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

from looc_mm.files import atomic_write
from looc_mm.models.representation import (
    frozen,
    preprocess,
    representation_names,
    representations,
    resolve_spaces,
    select,
)
from looc_mm.models.timm_features import need_timm
from looc_mm.multichannel import channels_of

from .features import need, view_size

TOLERANCE = 1e-4  # largest difference between a feature and the exported network's, relative; see check_numbers
NAMES = ('torchvision', 'timm', 'mmpretrain')
#: MMPreTrain's backbones whose layers are those of torchvision's (and timm's) network of this name.
TWINS = {'ResNet': 'resnet{depth}', 'ResNeXt': 'resnext{depth}_{groups}x{width_per_group}d'}


def export_state_dict(
    model: nn.Module,
    out: str | Path,
    names: str = 'torchvision',
    spaces: Sequence[str] | None = None,
    size: int | None = None,
) -> dict[str, Any]:
    """Write the weights of the backbone, which gives V, under the names that another library loads.

    The network of the other library is built, loaded and compared on the way, so that one that would give other numbers
    (strides, norms) is refused. It is timm's for TimmFeatures; otherwise torchvision's, and timm's of the same name has
    the same layers.

    Args:
        model: As :func:`load_model` gives it.
        out: ``.pth``, plain tensors that ``torch.load`` reads by its default, and ``<out>.json`` with what is returned;
            or ``.safetensors``, with that as its metadata.
        names: 'torchvision' (ResNet, ResNeXt), 'timm' (these, TimmFeatures, and MMPreTrain's TIMMBackbone), or
            'mmpretrain', the backbone's own.
        spaces: For LooC++ the one space whose last stage becomes the backbone's; else None.
        size: Side of the view in pixels; None for the size that the model was trained on.

    Returns:
        ``spaces`` and ``width`` of the representation, ``view_size``, ``mean`` and ``std`` of RGB in [0, 1],
        ``architecture`` and ``names``, of other pictures ``in_channels`` and ``window``; where two networks were
        compared, the largest ``difference`` and the library that the model was ``compared_with``.

    Raises:
        ValueError: The backbone has no counterpart, or the names, spaces or file are not among the allowed.
        ImportError: safetensors is needed and not installed.
    """
    if names not in NAMES:
        raise ValueError(f'Got names={names!r}; allowed are {list(NAMES)}.')
    suffix = Path(out).suffix
    if suffix not in ('.pth', '.safetensors'):
        raise ValueError(f'Weights go to a file *.pth or *.safetensors, got {str(out)!r}.')
    safetensors = need('safetensors.torch', 'safetensors') if suffix == '.safetensors' else None
    space = branch(model, spaces)
    backbone: Any = model.backbone
    with frozen(model):
        state = backbone_state(model, space)
        about = {**about_network(model, resolve_spaces(model, ['V' if space is None else space]), size), 'names': names}
        about['architecture'] = type(backbone).__name__
        if names != 'mmpretrain':
            state = {key.removeprefix('timm_model.'): value for key, value in state.items()}
            about['architecture'], about['compared_with'], twin = counterpart(model, state, names)
            probe = random_pictures(model, about['view_size'], 2)
            own = select(representations(model, probe), ['V' if space is None else space])
            who = f'{about["architecture"]} of {about["compared_with"]}'
            remedy = 'Settings that weights do not show (style, strides, dilations, norm_cfg) may differ; take ONNX.'
            about['difference'] = check_numbers(own, twin.to(probe.device)(probe), who, remedy)
    with atomic_write(out) as part:
        if safetensors is None:
            torch.save(state, part)
        else:
            part.write_bytes(safetensors.save(state, {'format': 'pt', **_texts(about)}))
    if safetensors is None:
        with atomic_write(f'{out}.json') as part:
            part.write_text(json.dumps(about, indent=2) + '\n')
    return about


def export_onnx(
    model: nn.Module,
    out: str | Path,
    spaces: Sequence[str] | None = None,
    size: int | None = None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write the network as ONNX: images to V, or to any choice of spaces with their heads or LooC++'s branches.

    The input ``images`` is (B, 3, h, w) float32, RGB in [0, 1] normalised by ``mean`` and ``std``, for any B. Of other
    pictures it is (B, C, h, w), in [0, 1] after their ``window``. There is an output for each name. The file takes its
    place only after ONNX Runtime gave PyTorch's numbers on it.

    Args:
        model: As :func:`load_model` gives it.
        out: ``.onnx``.
        spaces: As for :func:`looc_mm.models.representation.resolve_spaces`; an output for each representation.
        size: h = w in pixels; None for the size that the model was trained on.
        more: Further metadata.

    Returns:
        The file's metadata, there as JSON: ``spaces``, ``width``, ``view_size``, ``mean``, ``std``; and the largest
        ``difference`` to PyTorch.

    Raises:
        ValueError: A space is unknown, the file is no ``.onnx``, or its numbers differ by more than 1e-4 of the
            features' size.
        ImportError: onnx, onnxscript or onnxruntime is not installed.
    """
    if Path(out).suffix != '.onnx':
        raise ValueError(f'An ONNX network goes to a file *.onnx, got {str(out)!r}.')
    onnx, onnxruntime, _ = (need(name, 'onnx onnxscript onnxruntime') for name in ('onnx', 'onnxruntime', 'onnxscript'))
    chosen = resolve_spaces(model, spaces)
    names = list(chosen)
    with frozen(model):
        about = {**about_network(model, chosen, size), **(more or {})}
        outputs = _Outputs(model, chosen).eval()
        program = torch.onnx.export(
            outputs,
            (random_pictures(model, about['view_size'], 2),),
            input_names=['images'],
            output_names=names,
            dynamic_shapes={'images': {0: torch.export.Dim('batch')}},
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        proto = program.model_proto
        for node in proto.graph.node:
            del node.metadata_props[:]  # where PyTorch's source lay on this machine
        onnx.helper.set_model_props(proto, _texts(about))
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=['CPUExecutionProvider'])
        differences = []
        for batch in (1, 5):  # neither is the number of images that it was traced with
            probe = random_pictures(model, about['view_size'], batch)
            given = session.run(names, {'images': probe.cpu().numpy()})
            for name, own, other in zip(names, outputs(probe), given, strict=True):
                remedy = 'PyTorch does not translate this backbone faithfully: take get_features or a state dict.'
                differences.append(check_numbers(own, torch.from_numpy(other), f'{name} in ONNX Runtime', remedy))
    with atomic_write(out) as part:
        onnx.save(proto, part)
    return {**about, 'difference': max(differences)}


class _Outputs(nn.Module):
    """(B, C, h, w) normalised images to a tuple of representations."""

    def __init__(self, model: nn.Module, chosen: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.model = model
        self.chosen = tuple(chosen.values())

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        parts = representations(self.model, images)
        return tuple(select(parts, names) for names in self.chosen)


def branch(model: nn.Module, spaces: Sequence[str] | None) -> str | None:
    """The space whose last stage makes LooC++'s backbone whole; None for LooC."""
    asked = None if spaces is None or list(spaces) == ['V'] else list(spaces)
    if 'V' not in (known := representation_names(model)):
        if asked is None or len(asked) != 1 or asked[0] not in known:
            raise ValueError(
                f'In LooC++ each space has a last stage of its own, and a backbone has one: name the space whose it is '
                f'to have, one of {known}; got {asked}. All of them together go to ONNX.'
            )
        return asked[0]
    if asked is not None:
        raise ValueError(
            f'Got the spaces {asked}; weights under the names of torchvision, timm and MMPreTrain are those of the '
            f'backbone, V alone. Leave the spaces out, or export to ONNX, where the heads are included.'
        )
    return None


def backbone_state(model: nn.Module, space: str | None) -> dict[str, Tensor]:
    """Plain copies of the backbone's weights, with LooC++'s last stage where the whole network has it."""
    backbone: Any = model.backbone
    state = dict(backbone.state_dict())
    if space is not None:
        # A backbone that splits itself names the stage's weights as the whole network does.
        stage = '' if hasattr(backbone, 'take_last_stage') else f'layer{len(backbone.res_layers) + 1}.'
        weights = model.neck.heads[space].last_stage.state_dict()  # type: ignore[union-attr, index, operator]
        state.update({f'{stage}{key}': value for key, value in weights.items()})
    return {key: value.detach().cpu().clone(memory_format=torch.contiguous_format) for key, value in state.items()}


def counterpart(model: nn.Module, state: Mapping[str, Tensor], names: str) -> tuple[str, str, nn.Module]:
    """The network of another library with the weights of a backbone, in evaluation mode.

    Args:
        model: As :func:`load_model` gives it.
        state: The weights by that library's names.
        names: 'torchvision' or 'timm'.

    Returns:
        The name of the architecture, the library that the network is from, and the network.

    Raises:
        ValueError: There is none.
    """
    backbone: Any = model.backbone
    kind = type(backbone).__name__
    own = backbone.timm_model.pretrained_cfg.get('architecture', '') if hasattr(backbone, 'timm_model') else ''
    if own and names == 'timm':
        network: nn.Module = need_timm().create_model(own, num_classes=0, **getattr(backbone, 'settings', {}))
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise ValueError(
                f"The backbone's layers are not those of timm's {own}: {shorten(str(error), 300)} Take "
                f"the backbone's own names (--format safetensors) or ONNX (--format onnx)."
            ) from error
        return own, 'timm', network.eval()
    name = own or (TWINS[kind].format(**vars(backbone)) if kind in TWINS else '')
    allowed = [
        each for each in torchvision.models.list_models(torchvision.models) if each.startswith(('resnet', 'resnext'))
    ]
    others = "the backbone's own names (--format safetensors) or ONNX (--format onnx)"
    if name not in allowed:
        more = ', TimmFeatures and TIMMBackbone' if names == 'timm' else ''
        raise ValueError(
            f'{names} has no counterpart of the backbone {kind}{f" ({name})" if name else ""}. Allowed: ResNet and '
            f'ResNeXt that are one of {", ".join(allowed)}{more}. Take {others}.'
        )
    network = torchvision.models.get_model(name, weights=None)
    network.fc = nn.Identity()
    if (channels := channels_of(model)) is not None:  # the first layer of either library's network can be replaced
        network.conv1 = nn.Conv2d(channels.count, 64, 7, 2, 3, bias=False)
    needed = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    given = {key: tuple(value.shape) for key, value in state.items()}
    if wrong := [key for key in {**needed, **given} if needed.get(key) != given.get(key)]:
        key = wrong[0]
        raise ValueError(
            f"The backbone's layers are not those of {name}: {key} is {given.get(key, 'not there')} in the backbone "
            f'and {needed.get(key, "not there")} in {name}. Allowed are ResNet and ResNeXt with the standard stem, '
            f'stages and widths; take {others}.'
        )
    network.load_state_dict(state)
    return name, 'torchvision', network.eval()


def about_network(model: nn.Module, chosen: Mapping[str, Sequence[str]], size: int | None) -> dict[str, Any]:
    """What whoever gets the file has to know."""
    side = view_size(model) if size is None else size
    channels = channels_of(model)
    count = 3 if channels is None else channels.count
    grey = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, count, side, side)
    # Read off what it does: preprocessors keep mean and deviation in units and places of their own.
    black, white = _normalise(model, grey)[:, :, 0, 0].double()
    std = 1 / (white - black)
    mean = -black * std
    outputs = _Outputs(model, chosen).eval()(random_pictures(model, side, 1))
    return {
        'spaces': list(chosen),
        'width': [output.shape[1] for output in outputs],
        'view_size': side,
        'mean': [round(value, 6) for value in mean.tolist()],
        'std': [round(value, 6) for value in std.tolist()],
        **({} if channels is None else channels.settings()),
    }


def _normalise(model: nn.Module, images: Tensor) -> Tensor:
    """(B, C, h, w) uint8, RGB for C = 3, as the model takes it."""
    return preprocess(model, {'inputs': images.contiguous()})


def random_pictures(model: nn.Module, size: int, batch: int) -> Tensor:
    """Random pictures, (batch, C, size, size), normalised."""
    channels = channels_of(model)
    shape = (batch, 3 if channels is None else channels.count, size, size)
    noise = torch.randint(256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return _normalise(model, noise)


def check_numbers(own: Tensor, other: Tensor, who: str, remedy: str, tolerance: float | None = None) -> float:
    """Compare two results, each difference relative to the feature plus the root mean square of all features.

    So large features may differ by more, as rounding errors grow with them, and small features beside a large one
    may not.

    Args:
        own: The model's features, (B, C).
        other: The exported network's.
        who: Name of the exported network, for the error.
        remedy: What to do, for the error.
        tolerance: The largest relative difference that is allowed; None for :data:`TOLERANCE`.

    Returns:
        The largest absolute difference.

    Raises:
        ValueError: A relative difference is larger than the tolerance, or no number.
    """
    own, other = own.float().cpu(), other.float().cpu()
    tolerance = TOLERANCE if tolerance is None else tolerance
    size = own.abs() + own.square().mean().sqrt()
    difference = (own - other).abs()
    relative = float((difference / size.clamp_min(torch.finfo().tiny)).max())
    if not relative <= tolerance:
        raise ValueError(
            f'{who} gives other numbers than the model, by {relative:.2e} of their size where {tolerance:.0e} is '
            f'allowed: nothing was written. {remedy}'
        )
    return float(difference.max())


def _texts(about: Mapping[str, Any]) -> dict[str, str]:
    """JSON of each entry."""
    return {key: json.dumps(value) for key, value in about.items()}
