"""Any configs and seeds through ``tools/suite.py``, whose records are kept with the other figures."""

import json
from collections.abc import Sequence
from typing import Any

from .job import Job

DRY = ['configs/looc/looc_factors.py', '--seeds', '0', '--epochs', '1', '--evaluate', 'configs/linear_eval/factors.py']
DRY += ['--cfg-options', 'train_dataloader.dataset.length=192']
DRY += ['--evaluate-options', 'test_dataloader.dataset.length=64', 'test_cfg.train_dataloader.dataset.length=64']


def run(job: Job) -> None:
    """Run what the command line has behind ``--``."""
    suite(job, DRY if job.dry else job.options)


def suite(job: Job, words: Sequence[Any]) -> None:
    """Run a suite for the time that is left, and keep its records; those of an earlier run are not run again."""
    folder = job.scratch / 'records'
    folder.mkdir(exist_ok=True)
    for record in job.kept().get('records', []):
        (folder / f'{record["key"]}.json').write_text(json.dumps(record))
    minutes = max(job.left() - 5, 1) / 60  # what it has not done by then it stops, which takes a moment
    try:
        job.python('tools/suite.py', *words, '--minutes', f'{minutes:.2f}', '--records', folder)
    finally:
        job.keep(records=[json.loads(file.read_text()) for file in sorted(folder.glob('*.json'))])
