"""Run several experiments: every config with every seed, trained and evaluated, a record of each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from looc_mm.configs import ROOT

from .arguments import Options, Plugins


def suite(
    configs: Annotated[Sequence[str], {'metavar': 'CONFIG'}] = (),
    *,
    records: Annotated[Path, {'metavar': 'DIR'}],
    seeds: Sequence[int] = (0,),
    evaluate: Annotated[Sequence[str], {'metavar': 'CONFIG'}] = (),
    work_dir: Path = Path('work_dirs/suite'),
    minutes: float | None = None,
    jobs: int = 1,
    amp: bool = False,
    epochs: int | None = None,
    canvases: Annotated[str | None, {'metavar': 'DIR'}] = None,
    plugin: Plugins = (),
    cfg_options: Options = None,
    evaluate_options: Options = None,
    table: bool = False,
    metrics: Annotated[Sequence[str], {'metavar': 'PATTERN'}] = ('*',),
) -> int:
    """Train and evaluate every config with every seed; the same command goes on after an interruption.

    For example::

        looc suite moco_factors looc_factors --seeds 0 1 2 --evaluate linear_eval/factors --records work_dirs/records
        looc suite --table --records work_dirs/records

    Runs that are recorded are skipped. Exit status: 0 all runs are recorded, 1 a run failed, 2 the command is wrong,
    3 runs are left, 130 or 143 after Ctrl-C or SIGTERM.

    Args:
        configs: paths or names of pretraining configs
        records: one JSON record of each run
        seeds: one run of each config for each seed
        evaluate: paths or names of evaluation configs
        work_dir: checkpoints, logs and results
        minutes: time for everything: no run starts that needs more, and what still runs at the end is stopped
        jobs: runs side by side
        amp: train in mixed precision
        epochs: replaces the number in the configs; 0 evaluates random weights
        canvases: read the images from here, as of "looc train"
        plugin: import this file, which registers classes: augmentations, models, ...; may be given more than once
        cfg_options: entries of the pretraining configs
        evaluate_options: entries of the evaluation configs
        table: run nothing, print the table of all records
        metrics: columns of the table, such as "linear/*/top1*"

    Returns:
        The exit status.

    Raises:
        ValueError: A config, an option or a record is wrong.
    """
    from looc_mm import suite as library

    if table:
        if not (found := library.read_records(records)):
            raise ValueError(f'There are no records in {records}.')
        print(library.table(found, metrics))
        return 0
    changes = library.Changes(amp, epochs, canvases, tuple(plugin), cfg_options or {}, evaluate_options or {})
    runs = library.plan(configs, seeds, evaluate, changes, ROOT)
    status = library.run_plan(runs, records, work_dir, ROOT / 'tools', jobs, minutes)
    recorded = {record['key']: record for record in library.read_records(records)}
    if found := [recorded[run.key] for run in runs if run.key in recorded]:
        print(f'\n{library.table(found, metrics)}')
    return status
