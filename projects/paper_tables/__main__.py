"""Tables 1-5 and E.1 of the paper with our numbers beside its own.

python tools/paper_tables.py work_dirs --out work_dirs
python tools/paper_tables.py work_dirs --map imagenette=in100 --map flowers5=flowers102  # stand-ins, named as such
"""

import argparse
import sys
from collections.abc import Iterable

from looc_mm_paper_tables import DATASETS, METHODS, build_page, collect, find_results, to_markdown, write_pages


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='paper_tables.py',
        description="Fill the paper's tables from results.json files; writes paper_tables.md and paper_tables.html.",
    )
    parser.add_argument('results', nargs='+', help='results.json files of tools/test.py, or folders to search for them')
    parser.add_argument('--out', default='.', help='folder to write to (default: the current one)')
    parser.add_argument(
        '--map',
        action='append',
        default=[],
        metavar='OURS=PAPERS',
        help=f'show a dataset, or one of its factors by OURS/FACTOR, as a stand-in; the columns are {list(DATASETS)}',
    )
    parser.add_argument(
        '--method',
        action='append',
        default=[],
        metavar='PATH_PREFIX=METHOD',
        help=f'method of the checkpoints below a path, where their records do not name its config; one of {METHODS}',
    )
    parser.add_argument('--suite', help='keep what was trained by the configs of this suite, such as r18_imagenette')
    return parser.parse_args()


def pairs(option: str, texts: Iterable[str], reverse: bool = False) -> dict[str, str]:
    """LEFT=RIGHT as left to right, or reversed."""
    found: dict[str, str] = {}
    for text in texts:
        left, equals, right = text.rpartition('=')
        if not (left and equals and right):
            raise ValueError(f'{option} takes LEFT=RIGHT, got {text!r}.')
        key, value = (right, left) if reverse else (left, right)
        if found.setdefault(key, value) != value:
            raise ValueError(f'{option} got both {found[key]!r} and {value!r} for {key!r}.')
    return found


def main() -> None:
    args = parse_args()
    try:
        stand_ins = pairs('--map', args.map, reverse=True)
        results, left = collect(find_results(args.results), pairs('--method', args.method), args.suite)
        for name, count in left.items():
            print(f'Left out: {name} (records: {count})', file=sys.stderr)
        page = build_page(results, stand_ins)
        paths = write_pages(page, args.out)
    except (ValueError, OSError) as error:
        sys.exit(f'paper_tables: {error}')
    for name, count in page.unused.items():
        print(f'No place in the tables: {name} (records: {count})', file=sys.stderr)
    print(to_markdown(page), end='')
    print(f'Written: {", ".join(map(str, paths))}', file=sys.stderr)


if __name__ == '__main__':
    main()
