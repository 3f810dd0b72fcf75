"""The record of a run: one small JSON file, written when the run is complete.

key              hash of all that the run depends on; the record is found by it
config           path of the pretraining config in the repository
config_key       hash of the config as built, its name and its changes; runs that differ in the seed alone share it
changes          made to the configs by the suite's options
seed, epochs     of the training; 0 epochs are random weights
method           type of the model, its spaces, and its strategy where it has several spaces
data             type of the training set and number of pictures; null for random weights
evaluations      paths of the evaluation configs in the repository
train, evaluate  cpu_seconds (user and system, with the data loader's workers) and wall_seconds of all attempts;
                 unmeasured: attempts whose time is not known, because the suite was killed; absent where none
device           name of the GPU or processor
threads, jobs    threads of PyTorch in each process, and how many runs were side by side
versions         of looc_mm, torch, mmengine, mmpretrain and Python
metrics          'protocol/dataset/representation/metric[/factor]' to value
ci               the same names to half widths of 95 % confidence intervals, of those metrics that have one
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from looc_mm.files import atomic_write

from .plan import Run

_NEEDED = ('key', 'config', 'config_key', 'changes', 'seed', 'metrics')


def record_path(folder: Path, run: Run) -> Path:
    """Where the record of a run goes."""
    return folder / f'{run.name}_seed_{run.seed}_{run.key}.json'


def write_record(folder: Path, run: Run, record: dict[str, Any]) -> Path:
    """Write the record of a run at once and whole; returns its path."""
    path = record_path(folder, run)
    with atomic_write(path) as part:
        part.write_text(json.dumps(record, indent=1) + '\n')
    return path


def read_records(folder: str | Path) -> list[dict[str, Any]]:
    """All records of a folder, in the order of their file names; none if there is no such folder.

    Raises:
        ValueError: A JSON file in it is no record.
    """
    records = []
    for path in sorted(Path(folder).glob('*.json')):
        try:
            record = json.loads(path.read_text())
        except ValueError as error:
            raise ValueError(f'{path} is no record, it cannot be read as JSON: {error}. Move it away.') from error
        if not isinstance(record, dict) or (missing := [key for key in _NEEDED if key not in record]):
            found = f'it has no {", ".join(missing)}' if isinstance(record, dict) else 'it is no dict'
            raise ValueError(f'{path} is no record of tools/suite.py, {found}. Move it away.')
        records.append(record)
    return records


def collect_metrics(results: Iterable[tuple[str, list[dict[str, Any]]]]) -> tuple[dict[str, float], dict[str, float]]:
    """Name the values of evaluations.

    Args:
        results: Name of each evaluation, and its ``results.json``.

    Returns:
        Metrics and half widths by 'protocol/dataset/representation/metric[/factor]'. A solver other than L-BFGS is
        named behind the protocol, and a name that an earlier evaluation has taken gets the evaluation's name behind it.
    """
    metrics: dict[str, float] = {}
    ci: dict[str, float] = {}
    for evaluation, scores in results:
        for score in scores:
            solver = score.get('solver') or 'lbfgs'
            protocol = score['protocol'] if solver == 'lbfgs' else f'{score["protocol"]} ({solver})'
            chosen = score['representation']
            representation = chosen if isinstance(chosen, str) else '+'.join(chosen)
            factor = [score['factor']] if 'factor' in score else []
            name = '/'.join([protocol, score['dataset'], representation, score['metric'], *factor])
            if name in metrics:
                name = f'{name} [{evaluation}]'
            metrics[name] = round(score['value'], 4)
            if score.get('ci') is not None:
                ci[name] = round(score['ci'], 4)
    return metrics, ci
