"""Taking the network away: its features as arrays, its backbone for torchvision and timm, all of it as ONNX.

Shapes
    N  images        B  of one batch        C  width of a representation        h, w  a view
"""

import importlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
import torchvision
from mmcv.transforms import CenterCrop
from mmengine.registry import DefaultScope
from mmengine.utils import import_modules_from_strings
from mmpretrain.datasets.transforms import ResizeEdge
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from looc_mm.datasets.folder import ImageFolder
from looc_mm.datasets.transforms import PackCanvas, decode, one_thread
from looc_mm.evaluation.checkpoint import check_weights, read_checkpoint, read_training_config
from looc_mm.evaluation.features import FeatureBank, extract_bank
from looc_mm.files import whole
from looc_mm.models.representation import (
    all_representations,
    check_spaces,
    choose,
    frozen,
    preprocess,
    representation,
)
from looc_mm.registry import MODELS

Images: TypeAlias = str | Path | Sequence[str | Path] | Tensor

TOLERANCE = 1e-4  # largest absolute difference between a feature and the exported network's
NAMES = ('torchvision', 'timm', 'mmpretrain')
#: MMPreTrain's backbones whose layers are those of torchvision's (and timm's) network of this name.
TWINS = {'ResNet': 'resnet{depth}', 'ResNeXt': 'resnext{depth}_{groups}x{width_per_group}d'}


def load_model(checkpoint: str | Path, trust: bool = False) -> nn.Module:
    """The network of a checkpoint, built from the training config that stands in it.

    Args:
        checkpoint: A file that training wrote.
        trust: Whether the file may bring pickled objects and Python, which are run.

    Returns:
        The whole model, on the CPU, in evaluation mode.

    Raises:
        FileNotFoundError: No such file.
        ValueError: The file is broken, needs trust, holds no config, or not the weights of the config's model.
    """
    content = read_checkpoint(checkpoint, trust)
    if not content.get('meta', {}).get('cfg'):
        raise ValueError(
            f'{checkpoint} holds no training config, from which its model would be built: give a checkpoint as '
            f"tools/train.py writes it, {{'state_dict': ..., 'meta': {{'cfg': text of the config}}}}."
        )
    config = read_training_config(content, checkpoint, trust)
    with DefaultScope.overwrite_default_scope('looc_mm'):
        import_modules_from_strings(**config.get('custom_imports', {'imports': []}))
        model: nn.Module = MODELS.build(config['model'])
    weights = {key.removeprefix('module.'): value for key, value in content.get('state_dict', content).items()}
    check_weights(model, weights, checkpoint, ('backbone.', 'neck.heads.'))
    model.load_state_dict(weights, strict=False)  # what is no part of a representation may be missing
    return model.eval()


def view_size(model: nn.Module) -> int:
    """The side of the square views that a model was trained on, which its view pipeline tells.

    Raises:
        ValueError: It has no such pipeline, or its views have no fixed size or are not square.
    """
    pipeline = getattr(model.data_preprocessor, 'pipeline', None)
    sizes = {pipeline.view_size((canvas, canvas)) for canvas in (1000, 1001)} if pipeline else set()
    sides = {side for size in sizes for side in size}
    if len(sides) != 1:
        got = sorted(sizes) if pipeline else 'no view pipeline in its data_preprocessor'
        raise ValueError(
            f'{type(model).__name__} does not tell the one size of its views ({got}): give the side in pixels that it '
            f'was trained on, size=... or --size.'
        )
    return sides.pop()


class Pictures(Dataset):
    """Pictures as the evaluation configs read them: short side to 8/7 of the view's, and the middle square.

    Args:
        images: Paths, or (N, 3, H, W) uint8 RGB. A tensor whose H and W are the view's is taken as it is.
        size: Side of the view in pixels.

    Raises:
        ValueError: There is no image, the tensor is none of these or the size is not positive; later, naming the
            file, if a file cannot be decoded.
    """

    def __init__(self, images: Sequence[str | Path] | Tensor, size: int) -> None:
        if size < 1:
            raise ValueError(f'Got a view size of {size} pixels; it is at least 1.')
        tensor = isinstance(images, Tensor)
        if isinstance(images, Tensor) and (images.ndim != 4 or images.shape[1] != 3 or images.dtype != torch.uint8):
            raise ValueError(
                f'Got images {tuple(images.shape)} of {images.dtype}; a tensor is (N, 3, H, W), RGB of torch.uint8, '
                f'not normalised.'
            )
        if not len(images):
            raise ValueError('Got no images; give at least one.')
        self.images = images
        self.steps: list[Any] = [PackCanvas(())]
        if not (tensor and images.shape[2:] == (size, size)):  # type: ignore[union-attr]
            self.steps = [ResizeEdge(round(size * 8 / 7), edge='short'), CenterCrop(size), *self.steps]

    def __len__(self) -> int:
        """N."""
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """``inputs`` (3, size, size) uint8 RGB, and the ``image_size`` of the original."""
        img = self._read(index)
        results: dict[str, Any] = {'img': img, 'ori_shape': img.shape[:2]}
        for step in self.steps:
            results = step(results)
        return results

    def _read(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 BGR."""
        image = self.images[index]
        if isinstance(image, Tensor):
            return np.ascontiguousarray(image.flip(0).permute(1, 2, 0).cpu().numpy())
        img = decode(str(image))
        if img is None:
            raise ValueError(
                f'{str(image)!r} ({os.path.getsize(image)} bytes) cannot be decoded as an image: repair it, or take '
                f'it out of the folder or list.'
            )
        return img


def list_images(folder: str | Path) -> list[str]:
    """Paths of all images below a folder, sorted; see :class:`looc_mm.datasets.ImageFolder`.

    Raises:
        FileNotFoundError: No such folder, or no image in it.
    """
    try:
        return [sample['img_path'] for sample in ImageFolder(str(folder), lazy_init=True).load_data_list()]
    except FileNotFoundError as error:
        problem = 'holds no images' if Path(folder).is_dir() else 'is no folder'
        raise FileNotFoundError(
            f'{str(folder)!r} {problem}; give a folder of images, of any depth. Some files: a list of their paths.'
        ) from error


def get_bank(
    model: nn.Module,
    images: Images,
    size: int | None = None,
    batch_size: int = 64,
    device: torch.device | str | None = None,
    workers: int = 0,
    amp: bool = False,
) -> FeatureBank:
    """V and every space of pictures, in one pass; :func:`get_features` is a choice from it.

    Args:
        model: As :func:`load_model` gives it, or any of MMPreTrain's with a backbone.
        images: A folder of any depth, a list of paths, or (N, 3, H, W) uint8 RGB; see :class:`Pictures`.
        size: Side of the view in pixels; None for the size that the model was trained on.
        batch_size: B.
        device: Where the model is moved to and runs; None: where it is.
        workers: Processes that decode.
        amp: Whether the forward pass runs under autocast.

    Returns:
        On the CPU, in the order of the list or tensor; a folder's is :func:`list_images`.

    Raises:
        FileNotFoundError: A file or folder is missing.
        ValueError: As :class:`Pictures` and :func:`view_size`.
    """
    if isinstance(images, str | Path):
        images = list_images(images)
    pictures = Pictures(images, view_size(model) if size is None else size)
    if device is not None:
        model.to(device)
    # A batch is filled up to its size, which one picture need not pay for.
    loader = DataLoader(
        pictures, min(batch_size, len(pictures)), num_workers=workers, worker_init_fn=one_thread if workers else None
    )
    return extract_bank(model, loader, amp=amp)


def get_features(
    checkpoint_or_model: str | Path | nn.Module,
    images: Images,
    spaces: Sequence[str] | None = None,
    batch_size: int = 64,
    device: torch.device | str | None = None,
    size: int | None = None,
) -> Tensor:
    """The frozen features of pictures, the numbers that tools/test.py probes.

    Args:
        checkpoint_or_model: A file for :func:`load_model`, or what it gave.
        images: A folder of any depth, a list of paths, or (N, 3, H, W) uint8 RGB; see :class:`Pictures`.
        spaces: None for V, in LooC++ all spaces; else names of spaces, which are concatenated in this order.
        batch_size: B.
        device: Where the model is moved to and runs. None: where it is; a checkpoint's on the GPU, if there is one.
        size: Side of the view in pixels; None for the size that the model was trained on.

    Returns:
        (N, C) float32, on the CPU, without gradients.

    Raises:
        FileNotFoundError: A file or folder is missing.
        ValueError: A space is unknown; as :func:`load_model` and :func:`get_bank`.
    """
    if isinstance(checkpoint_or_model, nn.Module):
        model = checkpoint_or_model
    else:
        model = load_model(checkpoint_or_model)
        device = device or default_device()
    if spaces is not None:
        check_spaces(spaces, getattr(model, 'spaces', ()))
    return get_bank(model, images, size, batch_size, device).choose(spaces).x


def default_device() -> str:
    """The GPU, if there is one."""
    return 'cuda' if torch.cuda.is_available() else 'cpu'


def output_names(model: nn.Module, asked: Sequence[str] | None = None) -> list[str]:
    """Names of the representations that were asked for.

    Args:
        model: With spaces or without.
        asked: None for V; ['all'] for V and every space (of LooC++, whose V is its spaces, for these); else 'V' or
            names of spaces.

    Raises:
        ValueError: A name is unknown.
    """
    known = list(getattr(model, 'spaces', ()))
    if asked is None:
        return ['V']
    if list(asked) == ['all']:
        return known if _is_split(model) else ['V', *known]
    if isinstance(asked, str) or list(asked) != ['V']:
        check_spaces(asked if isinstance(asked, str) else [name for name in asked if name != 'V'], known)
    return list(dict.fromkeys(asked))


def pick(parts: Mapping[str, Tensor], name: str) -> Tensor:
    """One representation by its name; V of LooC++ is its spaces, concatenated."""
    return choose(parts, None if name == 'V' else [name])


def check_table(out: str | Path) -> None:
    """Find out before the work whether :func:`write_features` can write a file.

    Raises:
        ValueError: Its name ends with neither .npz nor .parquet.
        ImportError: pyarrow is needed and not installed.
    """
    suffix = Path(out).suffix
    if suffix not in ('.npz', '.parquet'):
        raise ValueError(f'Features go to a file *.npz or *.parquet, got {str(out)!r}.')
    if suffix == '.parquet':
        _need('pyarrow.parquet', 'pyarrow')


def write_features(out: str | Path, paths: Sequence[str], parts: Mapping[str, Tensor]) -> None:
    """Write features with the names of their pictures; the file appears at once and whole.

    Args:
        out: ``.npz``: the arrays ``path`` (N,) and one (N, C) float32 of each representation's name. ``.parquet``:
            columns of the same names, each cell a list of C float32.
        paths: N of them.
        parts: {name: (N, C)}.

    Raises:
        ValueError: As :func:`check_table`.
        ImportError: As :func:`check_table`.
    """
    check_table(out)
    arrays = {name: values.numpy() for name, values in parts.items()}
    with whole(out) as part:
        if Path(out).suffix == '.npz':
            with part.open('wb') as file:
                np.savez(file, path=np.array(paths), **arrays)  # type: ignore[arg-type]
            return
        pyarrow, parquet = _need('pyarrow', 'pyarrow'), _need('pyarrow.parquet', 'pyarrow')
        columns = {
            name: pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(values.reshape(-1)), values.shape[1])
            for name, values in arrays.items()
        }
        parquet.write_table(pyarrow.table({'path': list(paths), **columns}), part)


def export_state_dict(
    model: nn.Module,
    out: str | Path,
    names: str = 'torchvision',
    spaces: Sequence[str] | None = None,
    size: int | None = None,
) -> dict[str, Any]:
    """Write the weights of the backbone, which gives V, under the names that another library loads.

    Torchvision's network is built, loaded and compared on the way, so that one that would give other numbers (strides,
    norms) is refused. timm's of the same name has the same layers.

    Args:
        model: As :func:`load_model` gives it.
        out: ``.pth``, plain tensors that ``torch.load`` reads by its default, and ``<out>.json`` with what is returned;
            or ``.safetensors``, with that as its metadata.
        names: 'torchvision' (ResNet, ResNeXt), 'timm' (these, and MMPreTrain's TIMMBackbone), or 'mmpretrain', the
            backbone's own.
        spaces: For LooC++ the one space whose last stage becomes the backbone's; else None.
        size: Side of the view in pixels; None for the size that the model was trained on.

    Returns:
        ``spaces`` and ``width`` of the representation, ``view_size``, ``mean`` and ``std`` of RGB in [0, 1],
        ``architecture`` and ``names``, and, where two networks were compared, the largest ``difference``.

    Raises:
        ValueError: The backbone has no counterpart, or the names, spaces or file are not among the allowed.
        ImportError: safetensors is needed and not installed.
    """
    if names not in NAMES:
        raise ValueError(f'Got names={names!r}; allowed are {list(NAMES)}.')
    suffix = Path(out).suffix
    if suffix not in ('.pth', '.safetensors'):
        raise ValueError(f'Weights go to a file *.pth or *.safetensors, got {str(out)!r}.')
    safetensors = _need('safetensors.torch', 'safetensors') if suffix == '.safetensors' else None
    space = _branch(model, spaces)
    backbone: Any = model.backbone
    with frozen(model):
        state = _backbone_state(model, space)
        about = {**_about(model, ['V' if space is None else space], size), 'names': names}
        about['architecture'] = type(backbone).__name__
        if names == 'timm' and hasattr(backbone, 'timm_model'):
            prefix = 'timm_model.'
            state = {key.removeprefix(prefix): value for key, value in state.items()}
            about['architecture'] = backbone.timm_model.pretrained_cfg.get('architecture', '')
        elif names != 'mmpretrain':
            about['architecture'], twin = _twin(model, state, names)
            probe = _probe(model, about['view_size'], 2)
            own = representation(model, probe, None if space is None else [space])
            who = f'{about["architecture"]} of {names}'
            remedy = 'Settings that weights do not show (style, strides, dilations, norm_cfg) may differ; take ONNX.'
            about['difference'] = _check(own, twin.to(probe.device)(probe), who, remedy)
    with whole(out) as part:
        if safetensors is None:
            torch.save(state, part)
        else:
            part.write_bytes(safetensors.save(state, {'format': 'pt', **_texts(about)}))
    if safetensors is None:
        with whole(f'{out}.json') as part:
            part.write_text(json.dumps(about, indent=2) + '\n')
    return about


def export_onnx(
    model: nn.Module, out: str | Path, spaces: Sequence[str] | None = None, size: int | None = None
) -> dict[str, Any]:
    """Write the network as ONNX: images to V, or to any choice of spaces with their heads or LooC++'s branches.

    The input ``images`` is (B, 3, h, w) float32, RGB in [0, 1] normalised by ``mean`` and ``std``, for any B. There is
    an output for each name. The file takes its place only after ONNX Runtime gave PyTorch's numbers on it.

    Args:
        model: As :func:`load_model` gives it.
        out: ``.onnx``.
        spaces: As for :func:`output_names`.
        size: h = w in pixels; None for the size that the model was trained on.

    Returns:
        The file's metadata, there as JSON: ``spaces``, ``width``, ``view_size``, ``mean``, ``std``; and the largest
        ``difference`` to PyTorch.

    Raises:
        ValueError: A space is unknown, the file is no ``.onnx``, or its numbers differ by more than 1e-4.
        ImportError: onnx, onnxscript or onnxruntime is not installed.
    """
    if Path(out).suffix != '.onnx':
        raise ValueError(f'An ONNX network goes to a file *.onnx, got {str(out)!r}.')
    onnx, onnxruntime, _ = (
        _need(name, 'onnx onnxscript onnxruntime') for name in ('onnx', 'onnxruntime', 'onnxscript')
    )
    names = output_names(model, spaces)
    with frozen(model):
        about = _about(model, names, size)
        outputs = _Outputs(model, names).eval()
        program = torch.onnx.export(
            outputs,
            (_probe(model, about['view_size'], 2),),
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
            probe = _probe(model, about['view_size'], batch)
            given = session.run(names, {'images': probe.cpu().numpy()})
            for name, own, other in zip(names, outputs(probe), given, strict=True):
                remedy = 'PyTorch does not translate this backbone faithfully: take get_features or a state dict.'
                differences.append(_check(own, torch.from_numpy(other), f'{name} in ONNX Runtime', remedy))
    with whole(out) as part:
        onnx.save(proto, part)
    return {**about, 'difference': max(differences)}


class _Outputs(nn.Module):
    """(B, 3, h, w) normalised images to a tuple of representations."""

    def __init__(self, model: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.names = tuple(names)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        if self.names == ('V',):
            return (representation(self.model, images),)  # without heads
        parts = all_representations(self.model, images)
        return tuple(pick(parts, name) for name in self.names)


def _is_split(model: nn.Module) -> bool:
    """Whether it is LooC++, where each space has a last stage of its own."""
    return getattr(model, 'backbone_cfg', None) is not None


def _branch(model: nn.Module, spaces: Sequence[str] | None) -> str | None:
    """The space whose last stage makes LooC++'s backbone whole; None for LooC."""
    asked = None if spaces is None or list(spaces) == ['V'] else list(spaces)
    known = list(getattr(model, 'spaces', ()))
    if _is_split(model):
        if asked is None or len(asked) != 1:
            raise ValueError(
                f'In LooC++ each space has a last stage of its own, and a backbone has one: name the space whose it is '
                f'to have, one of {known}; got {asked}. All of them together go to ONNX.'
            )
        check_spaces(asked, known)
        return asked[0]
    if asked is not None:
        raise ValueError(
            f'Got the spaces {asked}; weights under the names of torchvision, timm and MMPreTrain are those of the '
            f'backbone, V alone. Leave the spaces out, or export to ONNX, where the heads are included.'
        )
    return None


def _backbone_state(model: nn.Module, space: str | None) -> dict[str, Tensor]:
    """Plain copies of the backbone's weights, with LooC++'s last stage where a ResNet has it."""
    backbone: Any = model.backbone
    state = dict(backbone.state_dict())
    if space is not None:
        stage = f'layer{len(backbone.res_layers) + 1}'
        weights = model.neck.heads[space].last_stage.state_dict()  # type: ignore[union-attr, index, operator]
        state.update({f'{stage}.{key}': value for key, value in weights.items()})
    return {key: value.detach().cpu().clone(memory_format=torch.contiguous_format) for key, value in state.items()}


def _twin(model: nn.Module, state: Mapping[str, Tensor], names: str) -> tuple[str, nn.Module]:
    """Torchvision's network with these weights, and its name; timm's is the same.

    Raises:
        ValueError: There is none.
    """
    backbone: Any = model.backbone
    kind = type(backbone).__name__
    name = TWINS[kind].format(**vars(backbone)) if kind in TWINS else ''
    allowed = [
        each for each in torchvision.models.list_models(torchvision.models) if each.startswith(('resnet', 'resnext'))
    ]
    others = "the backbone's own names (--format safetensors) or ONNX (--format onnx)"
    if name not in allowed:
        more = ', and TIMMBackbone' if names == 'timm' else ''
        raise ValueError(
            f'{names} has no counterpart of the backbone {kind}{f" ({name})" if name else ""}. Allowed: ResNet and '
            f'ResNeXt of MMPreTrain that are one of {", ".join(allowed)}{more}. Take {others}.'
        )
    network = torchvision.models.get_model(name, weights=None)
    network.fc = nn.Identity()
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
    return name, network.eval()


def _about(model: nn.Module, names: Sequence[str], size: int | None) -> dict[str, Any]:
    """What whoever gets the file has to know."""
    side = view_size(model) if size is None else size
    grey = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, side, side)
    # Read off what it does: preprocessors keep mean and deviation in units and places of their own.
    black, white = _normalise(model, grey)[:, :, 0, 0].double()
    std = 1 / (white - black)
    mean = -black * std
    outputs = _Outputs(model, names).eval()(_probe(model, side, 1))
    return {
        'spaces': list(names),
        'width': [output.shape[1] for output in outputs],
        'view_size': side,
        'mean': [round(value, 6) for value in mean.tolist()],
        'std': [round(value, 6) for value in std.tolist()],
    }


def _normalise(model: nn.Module, images: Tensor) -> Tensor:
    """(B, 3, h, w) uint8 RGB as the model takes it."""
    return preprocess(model, {'inputs': images.contiguous()})


def _probe(model: nn.Module, size: int, batch: int) -> Tensor:
    """Random pictures, (batch, 3, size, size), normalised."""
    noise = torch.randint(256, (batch, 3, size, size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return _normalise(model, noise)


def _check(own: Tensor, other: Tensor, who: str, remedy: str) -> float:
    """The largest difference of two results.

    Raises:
        ValueError: It is larger than the tolerance, or no number.
    """
    difference = float((own.float().cpu() - other.float().cpu()).abs().max())
    if not difference <= TOLERANCE:
        raise ValueError(
            f'{who} gives other numbers than the model, by {difference:.2e} where {TOLERANCE:.0e} is allowed: nothing '
            f'was written. {remedy}'
        )
    return difference


def _texts(about: Mapping[str, Any]) -> dict[str, str]:
    """JSON of each entry."""
    return {key: json.dumps(value) for key, value in about.items()}


def _need(module: str, packages: str) -> Any:
    """Import what only some formats need.

    Raises:
        ImportError: With the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f'This format needs {module.split(".")[0]}: pip install {packages}') from error
