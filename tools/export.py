"""Write a trained network for other libraries.

python tools/export.py work_dirs/looc/epoch_200.pth resnet50.pth                  # the backbone, torchvision's names
python tools/export.py work_dirs/looc/epoch_200.pth looc.onnx --spaces V rotation  # V and an embedding
"""

import argparse
from pathlib import Path
from typing import Any

from looc_mm.export import export_onnx, export_state_dict, load_model
from looc_mm.models.representation import SPACES_HELP
from looc_mm.plugins import PLUGIN_HELP, load_files

FORMATS = {'.pth': 'torchvision', '.safetensors': 'safetensors', '.onnx': 'onnx'}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Write a trained network for other libraries.')
    parser.add_argument('checkpoint', help='as tools/train.py writes it')
    parser.add_argument('out', help='.pth, .safetensors (pip install safetensors) or .onnx')
    parser.add_argument(
        '--format',
        choices=['torchvision', 'timm', 'safetensors', 'onnx'],
        help='torchvision or timm: the backbone under their names, as .pth or .safetensors; safetensors: any backbone '
        "under MMPreTrain's names; onnx: the network (pip install onnx onnxscript onnxruntime). Default: by the ending "
        'of out, for .pth torchvision',
    )
    parser.add_argument(
        '--spaces',
        nargs='+',
        help=f'onnx: an output for each of these: {SPACES_HELP}. Other formats, for LooC++ only: the space whose last '
        'stage the backbone gets',
    )
    parser.add_argument('--size', type=int, help="side of the input in pixels; default: the training's")
    parser.add_argument('--trust-checkpoint', action='store_true', help='allow the checkpoint to run code on loading')
    parser.add_argument('--plugin', action='append', default=[], metavar='FILE.py', help=PLUGIN_HELP)
    args = parser.parse_args()
    suffix = Path(args.out).suffix
    if suffix not in FORMATS:
        parser.error(f'{args.out} ends with none of {" ".join(FORMATS)}')
    args.format = args.format or FORMATS[suffix]
    allowed = {'onnx': ['.onnx'], 'safetensors': ['.safetensors']}.get(args.format, ['.pth', '.safetensors'])
    if suffix not in allowed:
        parser.error(f'--format {args.format} goes to a file that ends with {" or ".join(allowed)}, got {args.out}')
    return args


def report(args: argparse.Namespace, about: dict[str, Any]) -> str:
    widths = ', '.join(f'{name} ({width})' for name, width in zip(about['spaces'], about['width'], strict=True))
    text = f'{widths} from {about["view_size"]} px RGB, mean {about["mean"]}, std {about["std"]}: {args.out}\n'
    if args.format == 'onnx':
        return text + f'ONNX Runtime and PyTorch differ by {about["difference"]:.1e} at most.'
    if 'difference' in about:
        library = 'torchvision' if about['names'] == 'torchvision' else "timm's twin in torchvision"
        return (
            text
            + f'Loads as {about["architecture"]} without classifier; {library} differs by '
            + (f'{about["difference"]:.1e} at most.')
        )
    return text + f'Loads as {about["architecture"]}.'


def main() -> None:
    args = parse_args()
    load_files(args.plugin)
    model = load_model(args.checkpoint, args.trust_checkpoint)
    if args.format == 'onnx':
        about = export_onnx(model, args.out, args.spaces, args.size)
    else:
        names = 'mmpretrain' if args.format == 'safetensors' else args.format
        about = export_state_dict(model, args.out, names, args.spaces, args.size)
    print(report(args, about))


if __name__ == '__main__':
    main()
