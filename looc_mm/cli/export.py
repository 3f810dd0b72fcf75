"""Write a trained network for other libraries."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from .arguments import Plugins, UsageError

FORMATS = {'.pth': 'torchvision', '.safetensors': 'safetensors', '.onnx': 'onnx'}


def export(
    checkpoint: str | Path,
    out: str | Path,
    *,
    format: Literal['torchvision', 'timm', 'safetensors', 'onnx'] | None = None,
    spaces: Sequence[str] | None = None,
    size: int | None = None,
    trust_checkpoint: bool = False,
    plugin: Plugins = (),
) -> dict[str, Any]:
    """Write a trained network for other libraries.

    For example::

        looc export work_dirs/looc/epoch_200.pth resnet50.pth                  # the backbone, torchvision's names
        looc export work_dirs/looc/epoch_200.pth looc.onnx --spaces V rotation  # V and an embedding

    Args:
        checkpoint: as "looc train" writes it, or its work dir
        out: .pth, .safetensors (pip install safetensors) or .onnx
        format: torchvision or timm: the backbone under their names, as .pth or .safetensors; safetensors: any backbone
            under MMPreTrain's names; onnx: the network (pip install onnx onnxscript onnxruntime). Default: by the
            ending of out, for .pth torchvision
        spaces: onnx: an output for each of these: "V" (the default), a space, spaces joined by "+" (their
            concatenation), or "all" (each space). Other formats, for LooC++ only: the space whose last stage the
            backbone gets
        size: side of the input in pixels; default: the training's
        trust_checkpoint: allow the checkpoint to run code on loading
        plugin: import this file, which registers classes: augmentations, models, ...; may be given more than once

    Returns:
        What the file is: architecture, representations, widths, size and normalisation of the input.

    Raises:
        ValueError: The network cannot be written in the format.
        FileNotFoundError: The checkpoint or a plug-in does not exist.
    """
    suffix = Path(out).suffix
    if suffix not in FORMATS:
        raise UsageError(f'{out} ends with none of {" ".join(FORMATS)}')
    names = format or FORMATS[suffix]
    allowed = {'onnx': ['.onnx'], 'safetensors': ['.safetensors']}.get(names, ['.pth', '.safetensors'])
    if suffix not in allowed:
        raise UsageError(f'--format {names} goes to a file that ends with {" or ".join(allowed)}, got {out}')
    from looc_mm.export import export_onnx, export_state_dict, load_model
    from looc_mm.plugins import load_files

    load_files(plugin)
    model = load_model(checkpoint, trust_checkpoint)
    if names == 'onnx':
        about = export_onnx(model, out, spaces, size)
    else:
        about = export_state_dict(model, out, 'mmpretrain' if names == 'safetensors' else names, spaces, size)
    print(report(out, names, about))
    return about


def report(out: str | Path, names: str, about: dict[str, Any]) -> str:
    """What was written, for the user."""
    widths = ', '.join(f'{name} ({width})' for name, width in zip(about['spaces'], about['width'], strict=True))
    text = f'{widths} from {about["view_size"]} px RGB, mean {about["mean"]}, std {about["std"]}: {out}\n'
    if names == 'onnx':
        return text + f'ONNX Runtime and PyTorch differ by {about["difference"]:.1e} at most.'
    if 'difference' in about:
        library = "timm's twin in torchvision" if about['names'] != about['compared_with'] else about['names']
        return (
            text
            + f'Loads as {about["architecture"]} without classifier; {library} differs by '
            + f'{about["difference"]:.1e} at most.'
        )
    return text + f'Loads as {about["architecture"]}.'
