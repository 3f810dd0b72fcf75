"""What the benchmarks share: interleaved timing, the machine's description, a table, a JSON file."""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import torch
from tqdm import tqdm

from looc_mm.engine.launch import keep_freed_memory
from looc_mm.machine import device_name

DEVICE = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
if DEVICE.type == 'cpu':
    keep_freed_memory()  # for all cases, as training does


def arguments(description: str) -> argparse.ArgumentParser:
    """A parser with what every benchmark takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--json', type=Path, metavar='FILE', help='write rows and ratios here')
    parser.add_argument('--quick', action='store_true', help='fewer rounds and cases: two minutes at most')
    parser.add_argument('--threads', type=int, default=1, help='of torch and OpenCV, on a CPU (1)')
    return parser


def machine(*packages: str) -> str:
    """The device, and the versions of torch and of other packages."""
    versions = ' '.join(f'{package} {_version(package)}' for package in ('torch', *packages))
    return f'{device_name()}, {torch.get_num_threads()} threads, Python {platform.python_version()}, {versions}'


def _version(package: str) -> str:
    """The version of an installed package; OpenCV has several packages with one module."""
    return cv2.__version__ if package == 'opencv-python' else version(package)


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Time of one call, to the end of what it started on the device; by default wall time."""
    synchronise()
    start = clock()
    work()
    synchronise()
    return clock() - start


def synchronise() -> None:
    """Wait for the device."""
    if DEVICE.type == 'cuda':
        torch.cuda.synchronize()


def interleaved(
    cases: Mapping[str, Callable[[], object]],
    rounds: int,
    warmup: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of every case in every round; all cases take turns, so that what else the machine does hits all.

    Args:
        cases: Name to what is timed.
        rounds: How often each is timed.
        warmup: Calls of each before the first that counts.
        clock: ``time.process_time`` counts only what this process got of the machine.

    Returns:
        Name to one time per round.
    """
    times: dict[str, list[float]] = {name: [] for name in cases}
    for turn in tqdm(range(warmup + rounds), 'rounds', leave=False, disable=None):
        for name, work in cases.items():
            spent = seconds(work, clock)
            if turn >= warmup:
                times[name].append(spent)
    return times


def ratio(times: Mapping[str, Sequence[float]], slow: str, fast: str) -> float:
    """Median over the rounds of how many times longer one case took than another in the same round."""
    return statistics.median(a / b for a, b in zip(times[slow], times[fast], strict=True))


def report(about: str, rows: Sequence[Mapping[str, Any]], ratios: Mapping[str, float], file: Path | None) -> None:
    """Print the rows as a Markdown table and the ratios below it; write both as JSON.

    Args:
        about: What was measured, on what machine.
        rows: All with the same keys.
        ratios: Name to number.
        file: Where the JSON goes, if anywhere.
    """
    print(about, end='\n\n')
    print(table(rows), end='\n\n')
    for name, value in ratios.items():
        print(f'{name}: {value:.2f}')
    if file:
        file.write_text(json.dumps({'about': about, 'rows': list(rows), 'ratios': dict(ratios)}, indent=1) + '\n')


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as a Markdown table; what a row lacks is left empty."""
    columns = list(dict.fromkeys(column for row in rows for column in row))
    lines = ['| ' + ' | '.join(columns) + ' |', '|' + '---|' * len(columns)]
    lines += ['| ' + ' | '.join(text(row.get(column, '')) for column in columns) + ' |' for row in rows]
    return '\n'.join(lines)


def text(value: Any) -> str:
    """A table's cell: three digits of a number."""
    if isinstance(value, float):
        return f'{value:,.0f}' if abs(value) >= 100 else f'{value:.3g}'
    return str(value)
