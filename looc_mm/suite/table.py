"""Records as a table: a row for each method, a column for each metric, mean and interval over the seeds."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from statistics import fmean, stdev
from typing import Any

Row = dict[str, dict[int, float]]  # metric to seed to value


def table(records: Sequence[dict[str, Any]], metrics: Sequence[str] = ('*',)) -> str:
    """A Markdown table of methods x metrics.

    Records that differ in the seed or in the evaluation configs alone share a row. A cell is the mean over the seeds
    and, with two seeds or more, half of its 95 % confidence interval. A cell with fewer seeds than its row shows how
    many.

    Args:
        records: See :mod:`looc_mm.suite.records`.
        metrics: Which columns: names or patterns as in file names, such as ``linear/*/V/top1*``.

    Raises:
        ValueError: Two records have different values of one metric for the same method and seed.
    """
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        evaluated = json.dumps(record['changes'].get('evaluate_options', {}), sort_keys=True)
        groups.setdefault((record['config_key'], evaluated), []).append(record)
    rows = [_row(group) for group in groups.values()]
    labels = _labels([group[0] for group in groups.values()])
    columns = [
        name
        for name in dict.fromkeys(name for row in rows for name in row)
        if any(name == pattern or fnmatchcase(name, pattern) for pattern in metrics)
    ]
    lines = [['method', 'seeds', *columns], ['---'] * (2 + len(columns))]
    for label, row, group in zip(labels, rows, groups.values(), strict=True):
        seeds = len({record['seed'] for record in group})
        lines.append([label, str(seeds), *(_cell(row.get(name, {}), seeds) for name in columns)])
    return '\n'.join(f'| {" | ".join(cell.replace("|", "/") for cell in line)} |' for line in lines)


def t_interval(values: Sequence[float]) -> float:
    """Half width of the 95 % confidence interval of the mean: t s / sqrt(n), t of n - 1 degrees of freedom.

    Args:
        values: At least two, assumed to be normally distributed.
    """
    return _t_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))


def _t_quantile(freedom: int, inside: float = 0.95) -> float:
    """The t that Student's distribution is within, in absolute value, with probability ``inside``; by bisection."""
    low, high = 0.0, math.pi / 2
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if _probability(middle, freedom) < inside else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def _probability(angle: float, freedom: int) -> float:
    """P(|T| < sqrt(freedom) tan(angle)); Abramowitz and Stegun, 26.7.3 and 26.7.4."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term = cosine if odd else 1.0
    total = term if freedom > 1 else 0.0
    for i in range(2 + odd, freedom, 2):
        term *= cosine**2 * (i - 1) / i
        total += term
    return 2 / math.pi * (angle + sine * total) if odd else sine * total


def _row(records: Sequence[dict[str, Any]]) -> Row:
    row: Row = {}
    for record in records:
        seed = record['seed']
        for name, value in record['metrics'].items():
            known = row.setdefault(name, {}).setdefault(seed, value)
            if not math.isclose(known, value, abs_tol=1e-3):
                raise ValueError(
                    f'{record["config"]}, seed {seed}: two records have the values {known:g} and {value:g} of {name}; '
                    f'the second is {record["key"]}. Was the evaluation config edited? Move one record away.'
                )
    return row


def _cell(values: dict[int, float], seeds: int) -> str:
    if not values:
        return '-'
    numbers = list(values.values())
    mean = f'{fmean(numbers):.2f}'
    interval = f' ± {t_interval(numbers):.2f}' if len(numbers) > 1 else ''
    return mean + interval + (f' (n={len(numbers)})' if len(numbers) < seeds else '')


def _labels(records: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the configs; of those with one name the changes too, and as a last resort the hash."""
    names = [PurePosixPath(record['config']).stem for record in records]
    full = [
        f'{name} ({", ".join(f"{key}={value}" for key, value in _flat(record["changes"]).items()) or "as it is"})'
        for name, record in zip(names, records, strict=True)
    ]
    names = [longer if Counter(names)[name] > 1 else name for name, longer in zip(names, full, strict=True)]
    keyed = [f'{name} {record["config_key"][:8]}' for name, record in zip(names, records, strict=True)]
    return [longer if Counter(names)[name] > 1 else name for name, longer in zip(names, keyed, strict=True)]


def _flat(changes: dict[str, Any]) -> dict[str, Any]:
    options = ('options', 'evaluate_options')
    return {
        **{name: value for name, value in changes.items() if name not in options},
        **{key: value for name in options for key, value in changes.get(name, {}).items()},
    }
