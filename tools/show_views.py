"""Draw the views q, k_0 and k_i that a config makes of pictures.

python tools/show_views.py configs/looc/looc_r50_in100.py photo.jpg --out views.png
python tools/show_views.py configs/looc/looc_factors.py  # the config's own training data
"""

import argparse
from pathlib import Path

import torch
from matplotlib.figure import Figure
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope

from looc_mm.plugins import PLUGIN_HELP, load_files
from looc_mm.registry import DATASETS, TRANSFORMS
from looc_mm.visualization import draw_views


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Draw the views that a config makes.')
    parser.add_argument('config', help='pretraining config')
    parser.add_argument('images', nargs='*', help="pictures; left out: the first of the config's training data")
    parser.add_argument('--out', default='views.png', help='picture to write (default: %(default)s)')
    parser.add_argument('--rows', type=int, default=4, help='how many of the training data (default: %(default)s)')
    parser.add_argument('--seed', type=int, default=0, help='of the view table (default: %(default)s)')
    parser.add_argument('--plugin', action='append', default=[], metavar='FILE.py', help=PLUGIN_HELP)
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE')
    return parser.parse_args()


def load(cfg: Config, paths: list[str], rows: int) -> list[dict[str, torch.Tensor]]:
    """What the workers hand on: canvases with the originals' sizes."""
    if not paths:
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        return [dataset[row] for row in range(min(rows, len(dataset)))]
    steps = [TRANSFORMS.build(step) for step in cfg.train_dataloader.dataset.pipeline]
    samples = [{'img_path': path} for path in paths]
    for step in steps:
        samples = [step(sample) for sample in samples]
    return samples


def main() -> None:
    args = parse_args()
    load_files(args.plugin)
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options)
    init_default_scope(cfg.get('default_scope', 'looc_mm'))
    if 'pipeline' not in cfg.model.data_preprocessor:
        raise ValueError(f'{args.config} has no model.data_preprocessor.pipeline, which makes the views.')
    pipeline = TRANSFORMS.build(cfg.model.data_preprocessor.pipeline)
    samples = load(cfg, args.images, args.rows)
    figure = Figure(figsize=(1.6 * (1 + len(pipeline.views)), 1.7 * len(samples) + 0.5), layout='constrained')
    draw_views(figure, pipeline, samples, args.seed)
    Path(args.out).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.out, dpi=150)
    print(f'{len(samples)} rows of {", ".join(pipeline.views)}: {args.out}')


if __name__ == '__main__':
    main()
