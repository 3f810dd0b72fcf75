"""The report: goals beside what was found, tables, and a picture of the step's phases."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from common import table
from matplotlib.figure import Figure

from looc_mm.files import atomic_write

from .job import read_results
from .speed import PHASES

BEGIN, END = '<!-- GPU begin: written by benchmarks/gpu.py report -->', '<!-- GPU end -->'
NOTHING = 'not measured'
Rows = Sequence[Mapping[str, Any]]


def write(out: Path, docs: Path | None) -> None:
    """Write ``report.md`` and ``phases.png`` into a folder of results, and the report between the markers of a file.

    Raises:
        ValueError: If the folder has no results, or the file no markers.
    """
    results = read_results(out)
    if not results:
        raise ValueError(f'{out} has no results.json: give the folder that benchmarks/gpu.py --out wrote.')
    report = '\n\n'.join(sections(results)) + '\n'
    with atomic_write(out / 'report.md') as part:
        part.write_text(report)
    if 'phases' in results.get('speed', {}):
        draw(results['speed']['phases']).savefig(out / 'phases.png', dpi=120)
    print(report)
    if docs is None:
        return
    page = docs.read_text()
    if BEGIN not in page or END not in page:
        raise ValueError(f'{docs} lacks the lines {BEGIN!r} and {END!r}, between which the report belongs.')
    head, rest = page.split(BEGIN, 1)
    with atomic_write(docs) as part:
        part.write_text(f'{head}{BEGIN}\n\n{report}\n{END}{rest.split(END, 1)[1]}')


def sections(results: Mapping[str, Any]) -> Iterable[str]:
    """The report's parts in Markdown."""
    devices = list(dict.fromkeys(part['device'] for part in results.values()))
    dry = (
        ' **A dry run at a tiny size: these figures mean nothing.**' if any(p['dry'] for p in results.values()) else ''
    )
    yield f'Measured on {"; ".join(devices)}.{dry}'
    yield table(goals(results))
    speed, train = results.get('speed', {}), results.get('train', {})
    if 'step' in speed:
        yield (
            '**Step.** ' + speed['step']['about'].split(':')[0] + ', views already made unless the case includes them.'
        )
        yield table(speed['step']['rows'])
    if 'step' in results.get('compile', {}):
        yield 'The encoders compiled (`model.compile=True`), timed in a run of its own:'
        rows = results['compile']['step']['rows']
        yield table([{k: row[k] for k in ('case', 'ms a step', 'images/s', 'peak MiB')} for row in rows])
    if 'phases' in speed:
        names = [*PHASES, 'copy, beside the step']
        yield '**Phases of a step** with its views, milliseconds. Spaces: rotation, then texture, then color.'
        yield table(
            [{'LooC': n, 'whole': row['ms'], **{k: row[k] for k in names}} for n, row in speed['phases'].items()]
        )
        yield 'Shares of the time by kind of kernel:'
        kinds = sorted({kind for row in speed['phases'].values() for kind in row['kernels']})
        yield table(
            [{'LooC': n, **{k: row['kernels'].get(k, 0.0) for k in kinds}} for n, row in speed['phases'].items()]
        )
    if 'views' in speed:
        yield '**Views** of a batch:'
        yield table(speed['views'])
    if 'worker' in speed:
        yield '**A worker**, per core:'
        yield table([row for row in speed['worker']['rows'] if ':' not in row['pictures']])
    if 'rows' in train:
        yield f'**Training from JPEG files.** {train["about"].split(":")[0]}.'
        yield table(train['rows'])
    for part in ('imagenette', 'suite'):
        if results.get(part, {}).get('records'):
            yield f'**{part.capitalize()}**, one seed a row, top-1 %:'
            yield table([record_row(record) for record in results[part]['records']])
    if 'checks' in results.get('check', {}):
        yield '**Checks** of this device against the CPU:'
        columns = ('check', 'passed', 'found', 'allowed', 'note')
        yield table([{k: row.get(k, '') for k in columns} for row in results['check']['checks']])


def goals(results: Mapping[str, Any]) -> Rows:
    """Each goal beside what was found."""
    speed, train = results.get('speed', {}), results.get('train', {})
    found: dict[str, Any] = {}
    if 'phases' in speed and 'n = 2' in speed['phases']:
        row = speed['phases']['n = 2']
        found['views at most 5 % of the step, LooC (rotation, texture)'] = f'{100 * row["views"] / row["ms"]:.1f} %'
    if 'step' in speed:
        rows = {row['case']: row for row in speed['step']['rows']}
        made = {row['views']: row['ms made'] for row in speed.get('views', [])}.get('LooC (rotation, color)')
        if made and 'LooC(2)' in rows:
            share = made / (made + rows['LooC(2)']['ms a step'])
            found['the same, LooC (rotation, color), by the time to make them'] = f'{100 * share:.1f} %'
        for n in (1, 2, 3):
            if f'LooC({n})' in rows:
                share = rows[f'LooC({n})']['time / arithmetic']
                found[f'LooC({n}) at most 1.1 x {1 + n / 4:g} MoCo steps'] = f'{share:.2f} x'
    if 'step' in speed and 'tflops' in results.get('ceilings', {}) and 'LooC(2)' in rows:
        row, peak = rows['LooC(2)'], results['ceilings']['tflops']
        rate = speed['flops']['n = 2'] / row['ms a step'] / 1e9
        goal = f'LooC(2) at least 40 % of the measured bfloat16 rate, {peak:,.0f} TFLOP/s'
        found[goal] = f'{rate:,.0f} TFLOP/s, {100 * rate / peak:.0f} %; {limit(speed)}'
    if 'ratios' in train:
        found['real / ready data at least 0.95'] = f'{train["ratios"]["from files / in memory"]:.2f}'
        found["LooC, four views, at least 2 x the images/s of MMPreTrain's MoCo v2, two views"] = (
            f'{train["ratios"]["LooC(2) / MMPreTrain" + chr(39) + "s MoCo v2"]:.2f} x'
        )
        found["the paper's training, IN-100, 500 epochs, LooC(2)"] = f'{train["hours"]:,.0f} GPU-hours'
    return [{'goal': goal, 'found': value} for goal, value in found.items()] or [{'goal': 'all', 'found': NOTHING}]


def limit(speed: Mapping[str, Any]) -> str:
    """What takes the rest of the time."""
    row = speed.get('phases', {}).get('n = 2')
    if row is None:
        return 'phases not measured'
    kinds = {kind: share for kind, share in row['kernels'].items() if kind != 'convolution'}
    kind = max(kinds, key=kinds.__getitem__)
    phase = max(PHASES, key=lambda name: row[name])
    share = 100 * row[phase] / row['ms']
    return f'the longest phase is {phase}, {share:.0f} %; {kind} kernels take {100 * kinds[kind]:.0f} %'


def record_row(record: Mapping[str, Any]) -> dict[str, Any]:
    """A run's name, epochs, minutes and metrics."""
    minutes = {'epochs': record['epochs'], 'minutes': record['train']['wall_seconds'] / 60}
    return {'run': Path(record['config']).stem, 'seed': record['seed'], **minutes, **record['metrics']}


def draw(phases: Mapping[str, Mapping[str, float]]) -> Figure:
    """Bars of the step's phases, one for each number of spaces."""
    figure = Figure(figsize=(7, 0.6 + 0.5 * len(phases)), layout='constrained')
    axes = figure.subplots()
    for line, row in enumerate(phases.values()):
        begin = 0.0
        for index, phase in enumerate(PHASES):
            axes.barh(line, row[phase], left=begin, color=f'C{index}', label=phase if line == 0 else None)
            begin += row[phase]
    axes.set_yticks(range(len(phases)), list(phases))
    axes.invert_yaxis()
    axes.set_xlabel('milliseconds of a training step')
    figure.legend(loc='outside right', fontsize=8, frameon=False)
    return figure
