"""Write the features of every image of a folder to a file.

python tools/extract.py work_dirs/looc/epoch_200.pth pictures features.npz
python tools/extract.py work_dirs/looc/epoch_200.pth pictures features.parquet --spaces V all
"""

import argparse
import os

from looc_mm.export import (
    check_table,
    default_device,
    list_images,
    load_model,
    picture_source,
    write_features,
)
from looc_mm.models.representation import SPACES_HELP, resolve_spaces
from looc_mm.plugins import PLUGIN_HELP, load_files


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Write the features of every image of a folder to a file.')
    parser.add_argument('checkpoint', help='as tools/train.py writes it')
    parser.add_argument('folder', help='folder of images, of any depth')
    parser.add_argument(
        'out', help='features.npz, or features.parquet (pip install pyarrow): `path`, and each representation'
    )
    parser.add_argument('--spaces', nargs='+', help=f'an array or column for each of these: {SPACES_HELP}')
    parser.add_argument('--size', type=int, help="side of the view in pixels; default: the training's")
    parser.add_argument('--batch-size', type=int, default=64, help='default: %(default)s')
    parser.add_argument(
        '--workers', type=int, default=min(4, os.cpu_count() or 1), help='decoding processes (default: %(default)s)'
    )
    parser.add_argument('--device', default=default_device(), help='default: %(default)s')
    parser.add_argument('--amp', action='store_true', help='mixed precision')
    parser.add_argument('--trust-checkpoint', action='store_true', help='allow the checkpoint to run code on loading')
    parser.add_argument('--plugin', action='append', default=[], metavar='FILE.py', help=PLUGIN_HELP)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    check_table(args.out)
    load_files(args.plugin)
    model = load_model(args.checkpoint, args.trust_checkpoint)
    chosen = resolve_spaces(model, args.spaces)
    images = list_images(args.folder)
    source = picture_source(model, images, args.size, args.batch_size, args.device, args.workers, args.amp)
    found = source.feature_set('images').to('cpu')
    parts = {name: found.select(names).x for name, names in chosen.items()}
    root = os.path.expanduser(args.folder)
    write_features(args.out, [os.path.relpath(path, root) for path in images], parts)
    widths = ', '.join(f'{name} ({values.shape[1]})' for name, values in parts.items())
    print(f'{len(images)} images, {widths}: {args.out}')


if __name__ == '__main__':
    main()
