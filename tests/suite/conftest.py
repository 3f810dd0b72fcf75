"""A suite whose children are scripts of a few lines: they follow ``fake`` in their config and take milliseconds."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from looc_mm.suite import Changes, Run, plan
from looc_mm.suite.job import Site
from looc_mm.suite.schedule import Suite

# Each child writes a line into calls.txt: its tool, its config, its seed, what it resumes or evaluates, when it began
# and ended, and its threads.
PRELUDE = """
import argparse, json, os, pathlib, signal, subprocess, sys, time
parser = argparse.ArgumentParser()
parser.add_argument('config')
parser.add_argument('checkpoint', nargs='?')
for name in ('--work-dir', '--seed', '--resume', '--cache'):
    parser.add_argument(name)
args = parser.parse_args()
scope = {}
exec(open(args.config).read(), scope)
fake, folder = scope['fake'], pathlib.Path(args.work_dir)
folder.mkdir(exist_ok=True)
start = time.monotonic()

def call():
    words = [pathlib.Path(sys.argv[0]).stem, pathlib.Path(args.config).stem, args.seed]
    words += [pathlib.Path(args.resume or args.checkpoint or '-').name, start, time.monotonic()]
    with open(fake['calls'], 'a') as file:
        print(*words, os.environ.get('OMP_NUM_THREADS'), file=file)

def wait():
    pathlib.Path(fake['calls']).with_name('waiting').write_text(str(os.getpid()))
    while not pathlib.Path(fake['calls']).with_name('go').exists():
        time.sleep(0.01)

print('a line of', *sys.argv)
if fake.get('fails') == args.seed:
    call()
    sys.exit('this went wrong')
time.sleep(fake.get('sleeps', 0))
"""
TRAIN = """
(folder / 'epoch_1.pth').write_text('weights')
(folder / 'last_checkpoint').write_text(str(folder / 'epoch_1.pth'))
if fake.get('stubborn'):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if fake.get('grandchild'):
    grandchild = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
    pathlib.Path(fake['calls']).with_name('grandchild').write_text(str(grandchild.pid))
if fake.get('waits') and not args.resume:
    wait()
if fake.get('meets'):  # goes on when another training has begun, and not before
    place = pathlib.Path(fake['calls']).parent
    (place / f'here_{args.seed}').touch()
    while len(list(place.glob('here_*'))) < 2:
        time.sleep(0.01)
        if time.monotonic() > start + 120:
            sys.exit('no other training has begun')
(folder / 'epoch_2.pth').write_text('weights')
(folder / 'last_checkpoint').write_text(str(folder / 'epoch_2.pth'))
call()
"""
TEST = """
if fake.get('waits'):
    wait()
score = dict(protocol='linear', dataset='d', representation='V', metric='top1', value=10.0 + int(args.seed), ci=0.5)
(folder / 'results.json').write_text(json.dumps([score]))
call()
"""
PRETRAINING = """
model = dict(type='Fake')
train_dataloader = dict(batch_size=2, dataset=dict(type='Factors', length=4))
train_cfg = dict(max_epochs=2)
fake = {}
"""
EVALUATION = """
test_dataloader = dict(batch_size=2, dataset=dict(type='Factors', length=4))
test_cfg = dict(type='FrozenFeatureLoop', dataset='d', protocols=[dict(type='KNNProbe')])
fake = {}
"""


class Workplace:
    """Fake tools and configs in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records = folder / 'records'
        self.tools = folder / 'tools'
        self.tools.mkdir()
        (self.tools / 'train.py').write_text(PRELUDE + TRAIN)
        (self.tools / 'test.py').write_text(PRELUDE + TEST)

    def pretraining(self, name: str = 'moco', **fake: object) -> Path:
        return self._config('methods', name, PRETRAINING, fake)

    def evaluation(self, name: str = 'd', **fake: object) -> Path:
        return self._config('linear', name, EVALUATION, fake)

    def _config(self, folder: str, name: str, text: str, fake: dict[str, object]) -> Path:
        path = self.folder / folder / f'{name}.py'
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.format(repr({'calls': str(self.folder / 'calls.txt'), **fake})))
        return path

    def plan(self, configs: list[Path], evaluate: list[Path], seeds: tuple[int, ...] = (0,), **changes) -> list[Run]:
        return plan(configs, seeds, evaluate, Changes(**changes), self.folder)

    def suite(self, runs: list[Run], **options) -> Suite:
        known = {path.stem.rsplit('_', 1)[1] for path in self.records.glob('*.json')}
        site = Site(
            tools=self.tools,
            work_dir=self.folder / 'work',
            records=self.records,
            environment={'OMP_NUM_THREADS': '3'},
            about={'device': 'a CPU', 'threads': 3, 'jobs': 1, 'versions': {}},
            configs={run.name: {'method': {}, 'data': None} for run in runs},
        )
        return Suite([run for run in runs if run.key not in known], site, recorded=len(known), **options)

    def calls(self) -> list[list[str]]:
        path = self.folder / 'calls.txt'
        return [line.split() for line in path.read_text().splitlines()] if path.exists() else []

    def steps(self) -> list[str]:
        """What was called with which config and seed, and from which checkpoint."""
        return [' '.join(call[:4]) for call in self.calls()]

    def read(self) -> list[dict]:
        return [json.loads(path.read_text()) for path in sorted(self.records.glob('*.json'))]

    def state(self, run: Run) -> dict:
        return json.loads((self.folder / 'work' / run.folder / 'suite/state.json').read_text())

    def pid(self, name: str) -> int:
        """The process id that a fake child has written, once it is there."""
        path = self.folder / name
        wait_until(lambda: path.exists() and path.read_text())
        return int(path.read_text())


def wait_until(done: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, 'it did not happen'
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that is dead but that nobody has waited for does not."""
    path = Path(f'/proc/{pid}/stat')
    try:
        return path.read_text().rsplit(')', 1)[1].split()[0] != 'Z'
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def place(tmp_path) -> Workplace:
    return Workplace(tmp_path)
