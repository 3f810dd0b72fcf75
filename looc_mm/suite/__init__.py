"""Experiments: several configs with several seeds, one after another or side by side, and a record of each run."""

from .plan import Changes, Evaluation, Run, plan
from .records import read_records
from .start import run_plan
from .table import t_interval, table

__all__ = ['Changes', 'Evaluation', 'Run', 'plan', 'read_records', 'run_plan', 't_interval', 'table']
