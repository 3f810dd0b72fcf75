"""Write the tables of docs/results.md and of README.md from the records of runs.

python projects/results/page.py          # writes the tables
python projects/results/page.py --check  # writes nothing; status 1 if a page is not what the records give

A table is what is between ``<!-- records: NAME -->`` and ``<!-- end -->``; NAME is a folder of ``records/``.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from looc_mm.answer.baselines import BOTH, HISTOGRAM, HOG
from looc_mm.answer.compare import RANDOM
from looc_mm.files import atomic_write
from looc_mm.suite.records import read_records
from looc_mm.suite.table import t_interval

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / 'docs/results.md', ROOT / 'README.md')
MARKED = re.compile(r'(<!-- records: (\w+) -->\n).*?(<!-- end -->)', re.DOTALL)
#: A method's name in the tables, by how its config's name begins; the first that fits.
METHODS = {
    'moco_rotation': 'MoCo v2 + rotation',
    'multi_head_moco': 'control: the views and heads of LooC, all-invariant',
    'moco': 'MoCo v2',
    'loocpp': 'LooC++: rotation, color',
    'looc_rotation': 'LooC: rotation',
    'looc_color': 'LooC: color',
    'looc': 'LooC: rotation, color',
}
#: A column's title by the metric's name; those that no record has are left out.
COLUMNS = {
    'linear/imagenette/V/top1': 'class',
    'linear/flowers5/V/top1': 'flowers5',
    'rotation/imagenette/V/top1/rotation': '4-way rotation',
    'linear/signdigits/V/top1': 'sign digits',
    'rotation/signdigits/V/top1/rotation': 'its 4-way rotation',
}


#: Columns of the table of recipes: title, method, and the representation of the answer.
RECIPE = [
    ('LooC: V', 'looc', 'V'),
    ('V + rotation', 'looc', 'V + Z_rotation'),
    ('V + color', 'looc', 'V + Z_color'),
    ('LooC, color: V', 'color', 'V'),
    ('MoCo: V', 'moco', 'V'),
    ('random weights', 'looc', RANDOM),
    ('colour histogram', 'looc', HISTOGRAM),
    ('HOG', 'looc', HOG),
    ('histogram + HOG', 'looc', BOTH),
    ('LooC: V + histogram + HOG', 'looc', f'V + {HISTOGRAM} + {HOG}'),
]
#: The words for a changed entry of a config, by how its key ends; {} is the value.
CHANGES = {
    'augmentations.0.scale': 'crops from {0[0]} of the area',
    'augmentations.2.prob': 'rotation with probability {0}',
    'mask_false_negatives': 'mask_false_negatives={0}',
    'queue_len': 'queues of {0}',
    'augmentations.0.size': 'views of {0} pixels',
    'head.temperature': 'temperature {0}',
    'optimizer.type': '{0}',
    'optimizer.lr': 'learning rate {0}',
    'optimizer.weight_decay': 'weight decay {0}',
    'optimizer.momentum': 'momentum {0}',
    'batch_size': 'batches of {0}',
    'hid_channels': 'heads {0} wide',
    'zero_init_residual': 'zero_init_residual={0}',
    'base_channels': 'a base of {0} channels',
    'stem_channels': '',
    'in_channels': '',
}


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for each method: mean over the seeds, half of its 95 % interval, and CPU minutes of a training."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    common = set.intersection(*(set(map(repr, options(record).items())) for record in records))
    for record in records:
        own = {key: each for key, each in options(record).items() if repr((key, each)) not in common}
        groups.setdefault(', '.join(filter(None, [title(record), *map(words, own, own.values())])), []).append(record)
    columns = [name for name in COLUMNS if any(value(record, name) is not None for record in records)]
    lines = [['V, top-1 %', 'seeds', 'epochs', 'CPU minutes', *(COLUMNS[name] for name in columns)]]
    lines.append(['---'] * len(lines[0]))
    order = ['random weights', *METHODS.values()]
    for method in sorted(groups, key=lambda each: order.index(each) if each in order else len(order)):
        group = groups[method]
        minutes = fmean(record['train']['cpu_seconds'] for record in group) / 60
        cells = [cell([each for each in (value(record, name) for record in group) if each]) for name in columns]
        lines.append([method, str(len(group)), str(group[0]['epochs']), f'{minutes:.1f}' if minutes else '', *cells])
    return '\n'.join(f'| {" | ".join(line)} |' for line in lines)


def recipe_table(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for each folder and budget of "looc pretrain": linear top-1 in percent, means over the seeds."""
    rows = [['pictures', 'minutes', 'seeds', *(title for title, _, _ in RECIPE)]]
    rows.append(['---'] * len(rows[0]))
    for data in sorted({each['data'] for each in records}):
        for minutes in sorted({each['minutes'] for each in records if each['data'] == data}):
            group = [each for each in records if (each['data'], each['minutes']) == (data, minutes)]
            seeds = len({each['seed'] for each in group})
            cells = [recipe_mean(group, method, name) for _, method, name in RECIPE]
            rows.append([data, f'{minutes:g}', str(seeds), *cells])
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def recipe_mean(group: Sequence[Mapping[str, Any]], method: str, name: str) -> str:
    """The mean of a representation over the seeds, '-' without a record."""
    values = [
        row['linear']
        for each in group
        if each['method'] == method
        for row in each['answer']['rows']
        if row['name'] == name
    ]
    return f'{sum(values) / len(values):.1f}' if values else '-'


def options(record: Mapping[str, Any]) -> dict[str, Any]:
    """The changed entries of a record's config."""
    return dict(record['changes'].get('options') or {})


def words(key: str, changed: Any) -> str:
    """A change of a config for a row's name."""
    return next((text.format(changed) for end, text in CHANGES.items() if key.endswith(end)), f'{key}={changed}')


def title(record: Mapping[str, Any]) -> str:
    """The name of a record's method."""
    if record['epochs'] == 0:
        return 'random weights'
    name = Path(record['config']).stem
    return next((method for start, method in METHODS.items() if name.startswith(start)), name)


def value(record: Mapping[str, Any], metric: str) -> float | None:
    """A metric of V, or in LooC++ of all spaces together, which are what V is in LooC."""
    spaces = '+'.join((record.get('method') or {}).get('spaces') or [])
    return record['metrics'].get(metric, record['metrics'].get(metric.replace('/V/', f'/{spaces}/')))


def cell(values: Sequence[float]) -> str:
    """A mean and half of its 95 % interval, which one seed does not have."""
    if not values:
        return '-'
    return f'{fmean(values):.1f}' + (f' ± {t_interval(values):.1f}' if len(values) > 1 else '')


def fill(text: str, records: Path) -> str:
    """A page with its tables made again.

    Args:
        text: The page.
        records: The folder of the folders of records.

    Raises:
        ValueError: A marked table has no records.
    """

    def make(found: re.Match[str]) -> str:
        files = sorted((records / found[2]).glob('*.json'))
        if not files:
            raise ValueError(f'The table {found[2]!r} has no records in {records / found[2]}.')
        if found[2] == 'recipe':
            rows = recipe_table([json.loads(path.read_text()) for path in files])
        else:
            rows = table(read_records(records / found[2]))
        return f'{found[1]}\n{rows}\n\n{found[3]}'

    return MARKED.sub(make, text)


def main() -> int:
    """Write or check all pages; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--check', action='store_true', help='write nothing; status 1 if a page is out of date')
    check, status = parser.parse_args().check, 0
    for page in PAGES:
        text = page.read_text()
        made = fill(text, Path(__file__).parent / 'records')
        if made == text:
            continue
        if check:
            print(f'{page.relative_to(ROOT)} is not what the records give: run python projects/results/page.py')
            status = 1
            continue
        with atomic_write(page) as part:
            part.write_text(made)
    return status


if __name__ == '__main__':
    sys.exit(main())
