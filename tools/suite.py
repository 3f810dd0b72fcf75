"""Run several experiments: every config with every seed, trained and evaluated, a record of each.

python tools/suite.py configs/moco/moco_factors.py configs/looc/looc_factors.py --seeds 0 1 2 \
    --evaluate configs/linear_eval/factors.py --records work_dirs/records
python tools/suite.py --table --records work_dirs/records

The same command goes on after an interruption and skips what is recorded. Exit status: 0 all runs are recorded,
1 a run failed, 2 the command is wrong, 3 runs are left, 130 or 143 after Ctrl-C or SIGTERM.
"""

import argparse
import sys
from pathlib import Path

from mmengine.config import DictAction

from looc_mm.suite import Changes, plan, read_records, run_plan, table

ROOT = Path(__file__).parents[1]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Train and evaluate every config with every seed; the same command goes on after an interruption.'
    )
    parser.add_argument('configs', nargs='*', metavar='CONFIG', help='pretraining configs')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0], help='one run of each config for each seed (0)')
    parser.add_argument('--evaluate', nargs='+', default=[], metavar='CONFIG', help='evaluation configs')
    parser.add_argument('--records', type=Path, required=True, metavar='DIR', help='one JSON record of each run')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/suite'), help='checkpoints, logs and results')
    parser.add_argument(
        '--minutes',
        type=float,
        help='time for everything: no run starts that needs more, and what still runs at the end is stopped',
    )
    parser.add_argument('--jobs', type=int, default=1, help='runs side by side (1)')
    parser.add_argument('--amp', action='store_true', help='train in mixed precision')
    parser.add_argument('--epochs', type=int, help='replaces the number in the configs; 0 evaluates random weights')
    parser.add_argument('--canvases', metavar='DIR', help='as of tools/train.py')
    parser.add_argument('--plugin', action='append', default=[], metavar='FILE.py', help='as of tools/train.py')
    for name, of in (('--cfg-options', 'pretraining'), ('--evaluate-options', 'evaluation')):
        parser.add_argument(
            name, nargs='+', action=DictAction, default={}, metavar='KEY=VALUE', help=f'entries of the {of} configs'
        )
    parser.add_argument('--table', action='store_true', help='run nothing, print the table of all records')
    parser.add_argument(
        '--metrics', nargs='+', default=['*'], metavar='PATTERN', help="columns of the table, such as 'linear/*/top1*'"
    )
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    if args.table:
        if not (records := read_records(args.records)):
            raise ValueError(f'There are no records in {args.records}.')
        print(table(records, args.metrics))
        return 0
    changes = Changes(args.amp, args.epochs, args.canvases, tuple(args.plugin), args.cfg_options, args.evaluate_options)
    runs = plan(args.configs, args.seeds, args.evaluate, changes, ROOT)
    status = run_plan(runs, args.records, args.work_dir, ROOT / 'tools', args.jobs, args.minutes)
    recorded = {record['key']: record for record in read_records(args.records)}
    if records := [recorded[run.key] for run in runs if run.key in recorded]:
        print(f'\n{table(records, args.metrics)}')
    return status


if __name__ == '__main__':
    try:
        sys.exit(main())
    except ValueError as error:
        print(f'suite: {error}', file=sys.stderr)
        sys.exit(2)
