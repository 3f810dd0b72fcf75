"""Stylise every picture of a folder by paintings, for StylizedTexture to choose from.

python tools/stylize.py data/imagenet/train paintings data/stylized/train --vgg vgg_normalised.pth --decoder decoder.pth
"""

import argparse
import os
import sys
from pathlib import Path

import torch

from looc_mm.stylization import Settings, Stylizer, digest, stylize_tree

WARNING = """
********************************************************************************
**  RANDOM WEIGHTS: these pictures are NO stylisations. Good for trying the   **
**  tools out, not for training; give --vgg and --decoder for that.           **
********************************************************************************
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Write stylised versions of every picture, <stem>-stylized-<painting>.jpg in the same tree. '
        'Started again, it makes what is missing.'
    )
    parser.add_argument('source', type=Path, help='folder of pictures, of any depth')
    parser.add_argument('styles', type=Path, help='folder of paintings')
    parser.add_argument('out', type=Path, help='folder to write')
    parser.add_argument('--vgg', type=Path, help="pytorch-AdaIN's vgg_normalised.pth")
    parser.add_argument('--decoder', type=Path, help="pytorch-AdaIN's decoder.pth")
    parser.add_argument('--random-weights', action='store_true', help='no weights: trying the tools out')
    parser.add_argument('--styles-per-image', type=int, default=4, help='default: %(default)s')
    parser.add_argument('--alpha', type=float, default=1.0, help='share of the style, 0 to 1 (default: %(default)s)')
    parser.add_argument('--size', type=int, default=256, help='short side in pixels (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the draw of styles (default: %(default)s)')
    parser.add_argument(
        '--workers', type=int, default=min(4, os.cpu_count() or 1), help='decoding processes (default: %(default)s)'
    )
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu', help='default: %(default)s')
    parser.add_argument('--batch-size', type=int, default=16, help='versions at a time (default: %(default)s)')
    args = parser.parse_args()
    weights = [args.vgg, args.decoder]
    if not (weights == [None, None] if args.random_weights else all(weights)):
        parser.error('give both --vgg and --decoder, or --random-weights alone')
    return args


def build(args: argparse.Namespace) -> tuple[Stylizer, Settings]:
    files = [] if args.random_weights else [args.vgg, args.decoder]
    weights = digest(file.read_bytes() for file in files) if files else 'random'
    settings = Settings(weights, args.styles_per_image, args.alpha, args.size, args.seed)
    return Stylizer(*files).to(args.device), settings


def main() -> int:
    args = parse_args()
    stylizer, settings = build(args)
    print(WARNING * args.random_weights, end='', file=sys.stderr)
    report = stylize_tree(stylizer, args.source, args.styles, args.out, settings, args.workers, args.batch_size)
    status = report.show(
        f'{report.made} pictures stylised in {args.styles_per_image} ways, {report.finished} were finished before, '
        f'{len(report.broken)} are broken: {args.out}'
    )
    print(WARNING * args.random_weights, end='', file=sys.stderr)
    return status


if __name__ == '__main__':
    sys.exit(main())
