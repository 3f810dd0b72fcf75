"""LooC and MoCo on the procedural Factors dataset: what each representation keeps, in a table and a picture.

Both see the same strong augmentations (crop, flip, rotation, colour, blur) for the same number of steps. It
runs the commands that a user would, and prints them.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from matplotlib.figure import Figure
from mmengine.config import Config
from mmengine.registry import init_default_scope

from looc_mm.datasets import Factors
from looc_mm.evaluation.results import write_results
from looc_mm.registry import TRANSFORMS
from looc_mm.visualization import draw_probes, draw_views

ROOT = Path(__file__).parents[1]
METHODS = {
    'moco': ('MoCo v2 + rotation', 'configs/moco/moco_rotation_factors.py'),
    'looc': ('LooC: rotation, color', 'configs/looc/looc_factors.py'),
}
PROBE = 'configs/linear_eval/factors.py'
FACTORS = {**{factor: len(names) for factor, names in Factors.METAINFO.items()}, 'rotation': 4}  # number of classes
VIEWS_SEED = 5  # a draw in which the query is turned and recoloured, so that the table's rule can be seen


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Pretrain MoCo and LooC on Factors and probe what they keep.')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/demo'))
    parser.add_argument('--epochs', type=int, help='fewer than the configs have, for a quick look')
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


def run(*command: str | Path) -> None:
    words = [str(word) for word in command]
    print('$ python', *words, flush=True)
    subprocess.run([sys.executable, *words], cwd=ROOT, check=True)


def pretrain_and_probe(method: str, args: argparse.Namespace) -> list[dict]:
    """Train one method and probe V; returns its records."""
    work_dir = (args.work_dir / method).resolve()
    config = METHODS[method][1]
    epochs = args.epochs or Config.fromfile(ROOT / config).train_cfg.max_epochs
    options = ['log_level=WARNING', f'train_cfg.max_epochs={epochs}', 'default_hooks.progress.disable=False']
    run('tools/train.py', config, '--work-dir', work_dir, '--seed', str(args.seed), '--cfg-options', *options)
    run('tools/test.py', PROBE, work_dir / f'epoch_{epochs}.pth', '--work-dir', work_dir, '--seed', str(args.seed))
    records = json.loads((work_dir / 'results.json').read_text())
    return [{'method': method, 'factor': record.pop('factor', 'rotation'), **record} for record in records]


def table(scores: dict[str, dict[str, float]], chance: dict[str, float]) -> str:
    """Lay the probes' top-1 accuracies out as text."""
    rows = [['linear probe of V, top-1 %', *FACTORS]]
    rows += [
        [METHODS[method][0], *(f'{values[factor]:.1f}' for factor in FACTORS)] for method, values in scores.items()
    ]
    rows.append(['chance', *(f'{chance[factor]:.1f}' for factor in FACTORS)])
    return '\n'.join(f'{row[0]:<28}' + ''.join(f'{cell:>10}' for cell in row[1:]) for row in rows)


def draw(path: Path, scores: dict[str, dict[str, float]], chance: dict[str, float]) -> None:
    """Draw the views of one image above the bars of the probes."""
    init_default_scope('looc_mm')
    pipeline = TRANSFORMS.build(Config.fromfile(ROOT / METHODS['looc'][1]).model.data_preprocessor.pipeline)
    sample = Factors(length=1, pipeline=[dict(type='LoadCanvas', size=64), dict(type='PackCanvas')])[0]
    figure = Figure(figsize=(7.2, 5.4), layout='constrained')
    top, bottom = figure.subfigures(2, 1, height_ratios=[2, 3])
    draw_views(top, pipeline, [sample], seed=VIEWS_SEED)
    draw_probes(bottom.subplots(), {METHODS[method][0]: values for method, values in scores.items()}, chance)
    figure.savefig(path, dpi=150)


def main() -> None:
    args = parse_args()
    start = time.perf_counter()
    records = [record for method in METHODS for record in pretrain_and_probe(method, args)]
    write_results(args.work_dir / 'results.json', records)

    top1 = [record for record in records if record['metric'] == 'top1']
    scores = {m: {r['factor']: r['value'] for r in top1 if r['method'] == m} for m in METHODS}
    chance = {factor: 100 / classes for factor, classes in FACTORS.items()}
    draw(args.work_dir / 'demo.png', scores, chance)
    print(f'\n{table(scores, chance)}\n')
    print(f'{time.perf_counter() - start:.0f} s. Records: {args.work_dir / "results.json"}')
    print(f'Picture: {args.work_dir / "demo.png"}')


if __name__ == '__main__':
    main()
