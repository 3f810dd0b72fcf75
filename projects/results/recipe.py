"""The recipe of "looc pretrain" at several budgets, beside MoCo and baselines, on labelled pictures.

python projects/results/recipe.py                                # all runs; what is recorded is skipped
python projects/results/recipe.py --data flowers5 --minutes 3    # some of them
python projects/results/page.py                                   # writes their table to docs/results.md

It needs data/imagenette, data/flowers5 and data/signdigits, each with {train,val}/<class>/. A run that was interrupted
is continued by the same command; its record then has no seconds, as they are not those of one piece.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from looc_mm import machine
from looc_mm.files import atomic_write

ROOT = Path(__file__).parents[2]
RECORDS = ROOT / 'projects/results/records/recipe'
DATA = ('imagenette', 'flowers5', 'signdigits')
METHODS = {'looc': ('--spaces', 'rotation', 'color'), 'color': ('--spaces', 'color'), 'moco': ('--spaces', 'none')}
#: Hands that show digits are not mirrored.
OPTIONS = {'signdigits': ('--no-flip',)}


def run(data: str, minutes: float, method: str, seed: int, work_dir: Path) -> None:
    """Pretrain, evaluate and record, unless it is recorded."""
    name = f'{data}_{minutes:g}_{method}_{seed}'
    record = RECORDS / f'{name}.json'
    if record.exists():
        print(f'{name}: recorded')
        return
    out = work_dir / name
    fresh, start = not out.exists(), time.perf_counter()
    options = (*METHODS[method], *OPTIONS.get(data, ()))
    looc('pretrain', ROOT / 'data' / data, '--out', out, '--minutes', minutes, '--seed', seed, *options)
    clock = out / 'seconds'
    if fresh:
        clock.write_text(f'{time.perf_counter() - start:.1f}')
    looc('test', out, ROOT / 'data' / data, '--work-dir', out / 'answer', '--seed', seed)
    answer = json.loads((out / 'answer/answer.json').read_text())
    del answer['checkpoint']  # a path of this machine
    kept = {
        'data': data,
        'minutes': minutes,
        'method': method,
        'seed': seed,
        'options': options,
        'seconds': float(clock.read_text()) if clock.exists() else None,
        'settings': settings(out / 'config.py'),
        'device': machine.device_name(),
        'cores': machine.cores(),
        'threads': os.environ.get('OMP_NUM_THREADS'),
        'versions': machine.versions(),
        'answer': answer,
    }
    with atomic_write(record) as part:
        part.write_text(json.dumps(kept, indent=1) + '\n')


def looc(*words: object) -> None:
    """Print and run a command."""
    line = ['looc', *map(str, words)]
    print('$', *line, flush=True)
    subprocess.run([sys.executable, '-m', 'looc_mm', *line[1:]], check=True)


def settings(config: Path) -> dict[str, Any]:
    """What "looc pretrain" chose."""
    from mmengine.config import Config

    cfg = Config.fromfile(config)
    loader = cfg.train_dataloader
    return {
        'backbone': cfg.model.backbone.to_dict(),
        'size': cfg.model.data_preprocessor.pipeline.augmentations[0].size,
        'batch': loader.batch_size,
        'workers': loader.num_workers,
        'epochs': cfg.train_cfg.max_epochs,
        'pictures': loader.sampler.get('pictures'),  # of an epoch; None for all
    }


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', nargs='+', choices=DATA, default=DATA)
    parser.add_argument('--minutes', nargs='+', type=float, default=[3, 10])
    parser.add_argument('--methods', nargs='+', choices=METHODS, default=list(METHODS))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0])
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/recipe'))
    asked = parser.parse_args()
    for minutes in asked.minutes:
        for seed in asked.seeds:
            for data in asked.data:
                for method in asked.methods:
                    run(data, minutes, method, seed, asked.work_dir)
