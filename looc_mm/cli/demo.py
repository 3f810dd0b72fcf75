"""LooC and MoCo on the procedural Factors dataset: what each representation keeps, in a table and a picture."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from looc_mm.configs import find_config

METHODS = {
    'moco': ('MoCo v2 + rotation', 'moco_rotation_factors'),
    'looc': ('LooC: rotation, color', 'looc_factors'),
}
PROBE = 'linear_eval/factors'
VIEWS_SEED = 5  # a draw in which the query is turned and recoloured, so that the table's rule can be seen


def demo(*, work_dir: Path = Path('work_dirs/demo'), epochs: int | None = None, seed: int = 0) -> list[dict[str, Any]]:
    """Pretrain MoCo and LooC on the procedural Factors dataset and probe what they keep.

    Both see the same strong augmentations (crop, flip, rotation, colour, blur) for the same number of steps. It runs
    the commands that a user would, and prints them.

    Args:
        work_dir: where the table's records, the picture and both trainings go
        epochs: fewer than the configs have, for a quick look
        seed: of the trainings and the probes

    Returns:
        The records of both methods, as of results.json.
    """
    from looc_mm.datasets import Factors
    from looc_mm.results import add_results

    start = time.perf_counter()
    work_dir = Path(work_dir)
    records = [record for method in METHODS for record in pretrain_and_probe(method, work_dir, epochs, seed)]
    add_results(work_dir / 'results.json', records)

    top1 = [record for record in records if record['metric'] == 'top1']
    scores = {m: {r['factor']: r['value'] for r in top1 if r['method'] == m} for m in METHODS}
    chance = {factor: 100 / len(names) for factor, names in Factors.METAINFO.items()} | {'rotation': 100 / 4}
    draw(work_dir / 'demo.png', scores, chance)
    print(f'\n{table(scores, chance)}\n')
    print(f'{time.perf_counter() - start:.0f} s. Records: {work_dir / "results.json"}')
    print(f'Picture: {work_dir / "demo.png"}')
    return records


def run(*command: str | Path) -> None:
    """Print and run a command."""
    words = [str(word) for word in command]
    print('$ looc', *words, flush=True)
    subprocess.run([sys.executable, '-m', 'looc_mm', *words], check=True)


def pretrain_and_probe(method: str, work_dir: Path, epochs: int | None, seed: int) -> list[dict[str, Any]]:
    """Train one method and probe V; returns its records."""
    from mmengine.config import Config

    from looc_mm.results import newest, read_results

    work_dir = work_dir / method
    config = METHODS[method][1]
    epochs = epochs or Config.fromfile(find_config(config)).train_cfg.max_epochs
    options = ['log_level=WARNING', f'train_cfg.max_epochs={epochs}', 'default_hooks.progress.disable=False']
    run('train', config, '--work-dir', work_dir, '--overwrite', '--seed', str(seed), '--cfg-options', *options)
    checkpoint = work_dir / f'epoch_{epochs}.pth'
    run('test', PROBE, checkpoint, '--work-dir', work_dir, '--seed', str(seed))
    named = {'checkpoint': str(checkpoint), 'seed': seed}
    records = [each for each in newest(read_results(work_dir / 'results.json')) if named.items() <= each.items()]
    return [{'method': method, 'factor': record.pop('factor', 'rotation'), **record} for record in records]


def table(scores: dict[str, dict[str, float]], chance: dict[str, float]) -> str:
    """Lay the probes' top-1 accuracies out as text."""
    rows = [['linear probe of V, top-1 %', *chance]]
    rows += [[METHODS[method][0], *(f'{values[factor]:.1f}' for factor in chance)] for method, values in scores.items()]
    rows.append(['chance', *(f'{chance[factor]:.1f}' for factor in chance)])
    return '\n'.join(f'{row[0]:<28}' + ''.join(f'{cell:>10}' for cell in row[1:]) for row in rows)


def draw(path: Path, scores: dict[str, dict[str, float]], chance: dict[str, float]) -> None:
    """Draw the views of one image above the bars of the probes."""
    from matplotlib.figure import Figure
    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    from looc_mm.datasets import Factors
    from looc_mm.registry import TRANSFORMS
    from looc_mm.visualization import draw_probes, draw_views

    init_default_scope('looc_mm')
    pipeline = TRANSFORMS.build(Config.fromfile(find_config(METHODS['looc'][1])).model.data_preprocessor.pipeline)
    sample = Factors(length=1, pipeline=[dict(type='LoadCanvas', size=64), dict(type='PackCanvas')])[0]
    figure = Figure(figsize=(7.2, 5.4), layout='constrained')
    (top,), (bottom,) = figure.subfigures(2, 1, squeeze=False, height_ratios=[2, 3])
    draw_views(top, pipeline, [sample], seed=VIEWS_SEED, words=False)
    draw_probes(bottom.subplots(), {METHODS[method][0]: values for method, values in scores.items()}, chance)
    figure.savefig(path, dpi=150)
