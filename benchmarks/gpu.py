"""Measure the project on a GPU: every figure that docs/performance.md has of one, within 22 minutes.

    python benchmarks/gpu.py all --out gpu --data data           # make gpu
    python benchmarks/gpu.py check speed --out gpu               # some parts
    python benchmarks/gpu.py suite --out gpu --minutes 8 -- CONFIG... --seeds 0 1 --evaluate CONFIG...
    python benchmarks/gpu.py report gpu                          # the tables into docs/performance.md

Parts, in this order:

    check        views, augmentations, Eq. 2, queue, resume, NCCL and host waits are right on this device
    ceilings     what the device can do: bfloat16 matrix products and memory
    speed        views, loader, step with its phases, memory
    train        from JPEG files, beside MMPreTrain's MoCo v2
    imagenette   four networks on photographs, trained side by side and evaluated
    compile      the step with compiled encoders
    suite        any configs and seeds; not among "all"

The folder of --out gets results.json, log.txt, report.md and phases.png. A part that is done in it is skipped, so a
folder that is copied back goes on. --data holds the folders imagenette and flowers5, or imagenette112.zip and
flowers5_112.zip; without it the part imagenette is skipped. --dry-run runs every part at a tiny size, on a CPU too.
"""

import argparse
import shutil
import sys
import time
from importlib import import_module
from pathlib import Path

from common import DEVICE
from on_gpu.job import Job, call, read_results

MINUTES = {'check': 3.0, 'ceilings': 1.0, 'speed': 4.0, 'train': 3.0, 'imagenette': 8.0, 'compile': 3.0, 'suite': 8.0}
ALL = [part for part in MINUTES if part != 'suite']
SCRATCH = Path('work_dirs/gpu_scratch')  # where an interrupted part goes on
DOCS = Path(__file__).parents[1] / 'docs/performance.md'


def parse_args(words: list[str]) -> argparse.Namespace:
    """The options; what comes after ``--`` is tools/suite.py's."""
    mine, further = (words[: words.index('--')], words[words.index('--') + 1 :]) if '--' in words else (words, [])
    parser = argparse.ArgumentParser(description=str(__doc__).split('\n\n')[0])
    parser.add_argument('parts', nargs='+', metavar='PART', help=f'all, {", ".join(MINUTES)}; or: report DIR')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/gpu'), help='default: %(default)s')
    parser.add_argument('--data', type=Path, help='folder of imagenette and flowers5, or of their zips')
    parser.add_argument('--minutes', type=float, help=f'that a part may take; by default {MINUTES}')
    parser.add_argument('--dry-run', action='store_true', help='a tiny size, on whatever device')
    parser.add_argument('--docs', type=Path, default=DOCS, help='of report: the file that gets the tables')
    parser.add_argument('--child', metavar='SCRATCH', type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(mine)
    patience = 5 if args.dry_run else 1  # a dry run may share its cores with other work
    args.limits = {part: 60 * patience * (args.minutes or minutes) for part, minutes in MINUTES.items()}
    args.further, args.out, args.data = further, args.out.resolve(), args.data and args.data.resolve()
    args.parts = ALL if args.parts == ['all'] else args.parts
    unknown = [part for part in args.parts if part not in MINUTES]
    if unknown and args.parts[0] != 'report':
        parser.error(f'unknown parts {unknown}; there are: all, {", ".join(MINUTES)}, report DIR')
    if ('suite' in args.parts) != bool(further):
        parser.error('the part suite is given its configs behind --: suite -- CONFIG... --seeds 0 --evaluate CONFIG...')
    if DEVICE.type != 'cuda' and not args.dry_run and args.parts[0] != 'report':
        parser.error('no CUDA device was found; --dry-run tries the parts on a CPU')
    return args


def main() -> None:
    """Run the parts, each as a process of its own with its own limit, and write the report."""
    args = parse_args(sys.argv[1:])
    if args.parts[0] == 'report':
        write_report(Path(args.parts[1] if len(args.parts) > 1 else args.out), args.docs)
        return
    args.out.mkdir(parents=True, exist_ok=True)
    if args.child:
        (part,) = args.parts
        job = Job(
            part,
            args.out,
            args.child,
            args.data,
            args.dry_run,
            args.limits[part],
            args.further,
        )
        import_module(f'on_gpu.{part}').run(job)
        job.keep(done=True, seconds=time.monotonic() - job.begin)
        return
    failed = [part for part in args.parts if not run_part(part, args)]
    if read_results(args.out):
        write_report(args.out, None)
    if failed:
        sys.exit(
            f'not done: {", ".join(failed)}; {args.out / "log.txt"} has what they printed, the same command goes on'
        )


def run_part(part: str, args: argparse.Namespace) -> bool:
    """Run one part as a process; whether it is done."""
    if read_results(args.out).get(part, {}).get('done'):
        print(f'{part}: done before')
        return True
    if part == 'imagenette' and args.data is None and not args.dry_run:
        print(f'{part}: skipped, it needs --data')
        return True
    begin, further = time.monotonic(), ['--', *args.further] if part == 'suite' else []
    print(f'{part}: at most {args.limits[part] / 60:g} minutes', flush=True)
    options = [part, '--out', str(args.out), *(['--dry-run'] * args.dry_run)]
    options += ['--minutes', str(args.minutes)] * (args.minutes is not None)
    options += ['--data', str(args.data)] * (args.data is not None)
    scratch = SCRATCH / part
    command = [sys.executable, '-u', __file__, *options, '--child', str(scratch.resolve()), *further]
    scratch.mkdir(parents=True, exist_ok=True)
    with (args.out / 'log.txt').open('a') as log:
        print(f'=== {part}', file=log, flush=True)
        try:
            call(command, args.limits[part] + 15, log=log)
        except RuntimeError as error:
            print(f'{part}: FAILED after {time.monotonic() - begin:.0f} s, {error}', flush=True)
            return False
    shutil.rmtree(scratch)
    print(f'{part}: done after {time.monotonic() - begin:.0f} s', flush=True)
    return True


def write_report(out: Path, docs: Path | None) -> None:
    """The report of a folder, into it and between the markers of docs/performance.md."""
    import_module('on_gpu.report').write(out, docs)


if __name__ == '__main__':
    main()
