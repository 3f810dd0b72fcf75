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
    format: Literal['torchvision', 'timm', 'timm-hub', 'safetensors', 'onnx'] | None = None,
    spaces: Sequence[str] | None = None,
    size: int | None = None,
    results: str | Path | None = None,
    license: str | None = None,
    weights_only: bool = False,
    trust_checkpoint: bool = False,
    plugin: Plugins = (),
) -> dict[str, Any]:
    """Write a trained network for other libraries.

    For example::

        looc export work_dirs/looc/epoch_200.pth resnet50.pth                  # the backbone, torchvision's names
        looc export work_dirs/looc/epoch_200.pth looc.onnx --spaces V rotation  # V and an embedding
        looc export work_dirs/looc hub/looc --format timm-hub                  # a folder with a model card
        looc export work_dirs/looc small.pth --weights-only                    # for looc test, extract and export

    Args:
        checkpoint: as "looc train" writes it, or its work dir
        out: .pth, .safetensors (pip install safetensors) or .onnx; for timm-hub a folder
        format: torchvision or timm: the backbone under their names, as .pth or .safetensors; timm-hub: a folder that
            timm.create_model('local-dir:OUT', pretrained=True) loads; safetensors: any backbone
            under MMPreTrain's names; onnx: the network (pip install onnx onnxscript onnxruntime). Default: by the
            ending of out, for .pth torchvision
        spaces: onnx: an output for each of these: "V" (the default), a space, spaces joined by "+" (their
            concatenation), or "all" (each space). Other formats, for LooC++ only: the space whose last stage the
            backbone gets
        size: side of the input in pixels; default: the training's
        results: timm-hub: results.json of "looc test", for the model card; default: those in the checkpoint's folder
        license: timm-hub: licence of the weights, for the model card, such as cc-by-4.0
        weights_only: write a checkpoint without the key encoder, the queues and the state of the optimizer
        trust_checkpoint: allow the checkpoint to run code on loading
        plugin: import this file, which registers classes: augmentations, models, ...; may be given more than once

    Returns:
        What the file is: architecture, representations, widths, size and normalisation of the input.

    Raises:
        ValueError: The network cannot be written in the format.
        FileNotFoundError: The checkpoint or a plug-in does not exist.
    """
    from looc_mm.plugins import load_files

    if weights_only:
        if (format, spaces, size) != (None, None, None):
            raise UsageError('--weights-only writes a checkpoint: leave --format, --spaces and --size out')
        from looc_mm.export import export_weights

        load_files(plugin)
        about = export_weights(checkpoint, out, trust_checkpoint)
        print(f'{out}: {about["after"] / 1e6:,.1f} MB, of {about["before"] / 1e6:,.1f} MB. It cannot be resumed.')
        return about
    if format != 'timm-hub' and (results, license) != (None, None):
        raise UsageError('--results and --license are for the model card of --format timm-hub')
    suffix = Path(out).suffix
    if format == 'timm-hub':
        load_files(plugin)
        about = write_hub(checkpoint, out, results, license, spaces, size, trust_checkpoint)
        print(hub_report(out, about))
        return about
    if suffix not in FORMATS:
        raise UsageError(f'{out} ends with none of {" ".join(FORMATS)}')
    names = format or FORMATS[suffix]
    allowed = {'onnx': ['.onnx'], 'safetensors': ['.safetensors']}.get(names, ['.pth', '.safetensors'])
    if suffix not in allowed:
        raise UsageError(f'--format {names} goes to a file that ends with {" or ".join(allowed)}, got {out}')
    from looc_mm.export import export_onnx, export_state_dict, load_model

    load_files(plugin)
    model = load_model(checkpoint, trust_checkpoint)
    if names == 'onnx':
        about = export_onnx(model, out, spaces, size)
    else:
        about = export_state_dict(model, out, 'mmpretrain' if names == 'safetensors' else names, spaces, size)
    print(report(out, names, about))
    return about


def write_hub(
    checkpoint: str | Path,
    out: str | Path,
    results: str | Path | None,
    license: str | None,
    spaces: Sequence[str] | None,
    size: int | None,
    trust: bool,
) -> dict[str, Any]:
    """Write the folder of ``--format timm-hub``; the card has the results of these very weights.

    Raises:
        ValueError: As :func:`export`.
        FileNotFoundError: There is no checkpoint, or no file of results.
    """
    from looc_mm.checkpoint import build_model, load_weights, read_checkpoint
    from looc_mm.evaluation.cache import weights_hash
    from looc_mm.export import export_timm_hub, training_facts
    from looc_mm.results import read_results

    read = read_checkpoint(checkpoint, trust)
    model = build_model(read)
    load_weights(model, read)
    if results is None:
        files = sorted(Path(read.path).parent.glob('**/results.json'))
    elif Path(results).is_file():
        files = [Path(results)]
    else:
        raise FileNotFoundError(f'There is no file of results {str(results)!r}; give the results.json of "looc test".')
    own = weights_hash(model)
    records = [each for file in files for each in read_results(file) if each.get('weights') == own]
    if results is not None and not records:
        raise ValueError(f'{results} has no result of the weights in {read.path}: give that of its evaluation.')
    training = training_facts(read, getattr(model, 'spaces', ()))
    return export_timm_hub(model.eval(), out, training, records, license, spaces, size)


def hub_report(out: str | Path, about: dict[str, Any]) -> str:
    """What was written, for the user."""
    same = 'equal to the bit with channels_last' if about['equal'] else 'not equal to the bit'
    return (
        f"timm.create_model('local-dir:{out}', pretrained=True) gives {about['spaces'][0]} ({about['width'][0]}) of "
        f'{about["architecture"]}; it differs by {about["difference"]:.1e} at most, and is {same}.\n'
        f'Read {Path(out) / "README.md"} and add a licence before you publish the folder.'
    )


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
