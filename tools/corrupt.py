"""Write the 15 corruptions of ImageNet-C at five severities of every picture of a folder.

python tools/corrupt.py data/labelled/val data/labelled-c
"""

import argparse
import os
import sys
from pathlib import Path

from looc_mm.corruptions import CORRUPTIONS, GROUPS, SEVERITIES, Settings, corrupt_tree


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Write OUT/<corruption>/<severity>/<path of the picture>, as ImageNet-C is laid out. '
        'Started again, it makes what is missing.'
    )
    parser.add_argument('source', type=Path, help='folder of pictures, of any depth')
    parser.add_argument('out', type=Path, help='folder to write')
    parser.add_argument(
        '--corruptions',
        nargs='+',
        choices=[*CORRUPTIONS, *GROUPS],
        default=list(CORRUPTIONS),
        metavar='NAME',
        help=f'some of {", ".join(CORRUPTIONS)}, or of the groups {", ".join(GROUPS)} (default: all)',
    )
    parser.add_argument(
        '--severities', nargs='+', type=int, choices=SEVERITIES, default=list(SEVERITIES), help='default: all five'
    )
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument(
        '--size',
        type=int,
        default=224,
        help='side in pixels; the short side is resized to 256/224 of it and the middle square taken, as for '
        'ImageNet-C (default: %(default)s)',
    )
    sizes.add_argument('--keep-size', action='store_true', help='corrupt pictures as they are')
    parser.add_argument('--quality', type=int, default=85, help='of the JPEG files written (default: %(default)s)')
    parser.add_argument(
        '--frost',
        metavar='DIR',
        help='folder of the published frost1.png ... frost5.jpg; default: procedural frost, which is not theirs',
    )
    parser.add_argument('--seed', type=int, default=0, help='of all random choices (default: %(default)s)')
    parser.add_argument('--workers', type=int, default=os.cpu_count() or 1, help='processes (default: %(default)s)')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    names = {name for each in args.corruptions for name in GROUPS.get(each, [each])}
    settings = Settings(None if args.keep_size else args.size, args.seed, args.quality, args.frost)
    chosen = [each for name, each in CORRUPTIONS.items() if name in names]
    if 'frost' in names and args.frost is None:
        print('frost is procedural here, and not comparable with the published; --frost takes the published pictures.')
    report = corrupt_tree(args.source, args.out, chosen, sorted(set(args.severities)), settings, args.workers)
    return report.show(
        f'{report.made} pictures made, {report.finished} were finished before, {len(report.broken)} sources are '
        f'broken: {args.out}'
    )


if __name__ == '__main__':
    sys.exit(main())
