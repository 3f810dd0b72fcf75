"""Change configs at random as people do by mistake, and judge what the change leads to.

python -m tests.mutate_configs --number 300 --seed 1           # exits 1 if a goal is missed
python -m tests.mutate_configs --number 300 --seed 1 --before  # without the check of configs, as MMEngine reads them

Each change is known to be wrong, or to be right, when it is made. A wrong one is *silent* if the model trains a step
all the same, or is evaluated; it is *obscure* if the error lacks the path of the key or what is allowed. A right one is
*silent* if the config then has another value than the one that was typed, and *refused* if it is an error.
"""

import argparse
import contextlib
import copy
import io
import random
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.config.config import DictAction
from mmengine.runner import Runner

from looc_mm.config_check.check import check_config
from looc_mm.config_check.options import Options, merge_options
from looc_mm.engine.launch import check_batches, drop_empty_parts, setup_launch, shorten_schedule

CONFIGS = Path(__file__).parents[1] / 'configs'
TRAIN = [
    *('looc/looc_factors', 'looc/loocpp_factors', 'moco/moco_factors', 'simclr/looc_simclr_factors'),
    *('relatives/augself_factors', 'relatives/cassle_factors', 'supervised/supervised_factors', 'looc/looc_r50_folder'),
]
TEST = ['linear_eval/factors', 'linear_eval/folder']
FOLDERS = ['pictures', 'my pictures', 'a, b', '2024', '0.5', 'None', 'true', '[x]', '1e3', "it's"]
#: Numbers that a user may set in every config that has them, with other right values.
RIGHT = {
    'lr': ['0.01', '3e-4'],
    'interval': ['2', '7'],
    'batch_size': ['8'],
    'window_size': ['5'],
    'temperature': ['0.3'],
}
#: Keys of numbers that have to be more than 0, whatever component has them.
POSITIVE = {
    *('lr', 'batch_size', 'max_epochs', 'window_size', 'length', 'size', 'queue_len', 'in_channels', 'hid_channels'),
    *('stem_channels', 'base_channels', 'base_batch_size', 'temperature', 'num_classes', 'depth', 'scale', 'crop_size'),
    *('interval', 'k', 'max_keep_ckpts', 'start_factor'),
}
#: What cannot be left out, by path.
REQUIRED = {
    *('model.backbone', 'model.head', 'model.data_preprocessor.pipeline', 'model.type'),
    *(
        'train_dataloader.dataset',
        'train_dataloader.batch_size',
        'train_cfg.max_epochs',
        'optim_wrapper.optimizer.type',
    ),
    *('model.data_preprocessor.pipeline.augmentations', 'model.head.num_classes', 'test_dataloader.dataset.type'),
    *('train_dataloader.dataset.data_root', 'test_cfg.dataset', 'test_cfg.protocols.0.type', 'optim_wrapper.optimizer'),
}
MISPLACED = [
    'lr=0.1',
    'queue_len=64',
    'max_epochs=3',
    'hue=0.2',
    'milestones=[1,2]',
    'leave_one_out=[color]',
    'amp=True',
]
ALLOWED = re.compile(
    r'allowed|among \[|Those of|or more|more than|at least|at most|positive|True or False|needs it|<=|>=|Did you mean|'
    r'has the splits',
    re.I,
)


@dataclass(frozen=True)
class Mutation:
    """A change of a config.

    Attributes:
        kind: Name of the function that made it.
        config: The config's name.
        path: What is changed.
        words: As on the command line.
        edit: Changes the config as an edit of its file does.
        right: The value that the config has to have; None for a change that is wrong.
        hints: Texts of which the message of a wrong one has to have one.
    """

    kind: str
    config: str
    path: str
    words: tuple[str, ...] = ()
    edit: Callable[[dict[str, Any]], None] | None = None
    right: Any = None
    hints: tuple[str, ...] = ()


def leaves(entry: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """Paths and entries of a config, from the top down, without helper names."""
    if path:
        yield path, entry
    pairs = entry.items() if isinstance(entry, dict) else enumerate(entry) if isinstance(entry, list | tuple) else ()
    for key, each in pairs:
        if not str(key).startswith('_'):
            yield from leaves(each, f'{path}.{key}' if path else str(key))


def misspelt(word: str, rng: random.Random) -> str:
    """The word with a letter lost, doubled or swapped with the next."""
    found = word
    while found == word:
        at = rng.randrange(len(word) - 1) if len(word) > 2 else 0
        found = rng.choice(
            [
                word[:at] + word[at + 1 :],
                word[: at + 1] + word[at:],
                word[:at] + word[at : at + 2][::-1] + word[at + 2 :],
            ]
        )
    return found if len(found) > 1 else word + word[-1]


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def text(value: Any) -> str:
    return str(value).replace(' ', '')


class Mutator:
    """Makes mutations of one config.

    Args:
        name: The config's name.
        config: As a dict.
        rng: Source of every choice.
        root: Folder that has the folders of pictures.
    """

    def __init__(self, name: str, config: dict[str, Any], rng: random.Random, root: Path) -> None:
        self.name, self.config, self.rng, self.root = name, config, rng, root
        self.all = [(path, value) for path, value in leaves(config) if not path.startswith(('work_dir', 'experiment'))]
        self.plain = [(p, v) for p, v in self.all if not isinstance(v, dict | list | tuple)]

    def mutation(self) -> Mutation:
        """A mutation of a random kind that suits the config."""
        kinds = [getattr(self, name) for name in vars(type(self)) if name.startswith('make_')]
        while True:
            made = self.rng.choice(kinds)()
            if made:
                return made

    def _pick(self, allowed: Callable[[str, Any], bool], among: Any = None) -> tuple[str, Any] | None:
        found = [(path, value) for path, value in among or self.plain if allowed(path, value)]
        return self.rng.choice(found) if found else None

    def _wrong(self, kind: str, path: str, value: str, *hints: str) -> Mutation:
        return Mutation(kind, self.name, path, (f'{path}={value}',), hints=hints)

    def make_misspelt_key(self) -> Mutation | None:
        """In the last key, as the leaf of a component."""
        path, value = self._pick(
            lambda p, v: '.' in p and not p.split('.')[-1].isdigit() and p.count('default_hooks.') == 0
        )  # type: ignore[misc]
        parent, _, key = path.rpartition('.')
        if key in ('type', 'by_epoch') or len(key) < 3:
            return None
        return self._wrong('misspelt key', f'{parent}.{misspelt(key, self.rng)}', text(value), key)

    def make_misspelt_parent(self) -> Mutation | None:
        """In a key above."""
        path, value = self._pick(lambda p, v: '.' in p)  # type: ignore[misc]
        keys = path.split('.')
        at = self.rng.choice([i for i, key in enumerate(keys[:-1]) if not key.isdigit()])
        if keys[0] == 'default_hooks' and at == 1:
            return None  # its keys are names that a user may choose
        right, keys[at] = keys[at], misspelt(keys[at], self.rng)
        wrong = '.'.join(keys[: at + 1])
        return Mutation('misspelt parent', self.name, wrong, (f'{".".join(keys)}={text(value)}',), hints=(right,))

    def make_nested_at_top(self) -> Mutation | None:
        """A key of a component without its path, on the command line."""
        path, _ = self._pick(lambda p, v: p.count('.') > 0 and is_number(v) and not p.split('.')[-1].isdigit())  # type: ignore[misc]
        key = path.split('.')[-1]
        return self._wrong('nested key at the top', key, '7', f'.{key}')

    def make_nested_in_file(self) -> Mutation | None:
        """The same in the file, and a misspelt name of an entry."""
        path, _ = self._pick(lambda p, v: p.count('.') > 0 and is_number(v) and not p.split('.')[-1].isdigit())  # type: ignore[misc]
        key = self.rng.choice(
            [
                path.split('.')[-1],
                misspelt(self.rng.choice([key for key in sorted(self.config) if key[0] != '_']), self.rng),
            ]
        )
        if key in self.config or key.startswith('_'):
            return None
        return Mutation('unused name in the file', self.name, key, edit=lambda c: c.update({key: 77}))

    def make_misplaced(self) -> Mutation | None:
        """A key that another component has."""
        targets = (
            'train_dataloader',
            'train_cfg',
            'model.backbone',
            'default_hooks.logger',
            'train_dataloader.dataset',
        )
        word, target = self.rng.choice(MISPLACED), self.rng.choice(targets)
        path = f'{target}.{word.split("=")[0]}'
        known = dict(self.all)
        return None if target not in known or path in known else self._wrong('misplaced', path, word.split('=')[1])

    def make_text_for_number(self) -> Mutation | None:
        found = self._pick(lambda p, v: is_number(v))
        return found and self._wrong(
            'text for a number', found[0], self.rng.choice(['many', '0.1.2', '3px', 'auto ', '1,5x'])
        )

    def make_text_for_bool(self) -> Mutation | None:
        found = self._pick(lambda p, v: isinstance(v, bool))
        return found and self._wrong(
            'text for a bool', found[0], self.rng.choice(['no', 'yes', 'off', '0', '2', 'flase'])
        )

    def make_not_positive(self) -> Mutation | None:
        found = self._pick(lambda p, v: is_number(v) and p.split('.')[-1] in POSITIVE)
        return found and self._wrong('not positive', found[0], self.rng.choice(['0', '-3', '-0.5']))

    def make_not_finite(self) -> Mutation | None:
        found = self._pick(lambda p, v: is_number(v))
        return found and self._wrong('not finite', found[0], self.rng.choice(['nan', 'inf', '-inf']))

    def make_unknown_type(self) -> Mutation | None:
        found = self._pick(lambda p, v: p.endswith('.type'))
        return found and self._wrong('unknown type', found[0], misspelt(found[1], self.rng), found[1])

    def make_empty_type(self) -> Mutation | None:
        found = self._pick(lambda p, v: p.endswith('.type'))
        return found and self._wrong('empty type', found[0], '')

    def make_deleted(self) -> Mutation | None:
        found = self._pick(lambda p, v: p in REQUIRED, self.all)
        if not found:
            return None
        parent, _, key = found[0].rpartition('.')

        def edit(config: dict[str, Any]) -> None:
            place: Any = config
            for step in parent.split('.'):
                place = place[int(step)] if isinstance(place, list) else place[step]
            del place[key]

        return Mutation('required key left out', self.name, found[0], edit=edit)

    def make_scalar_for_entry(self) -> Mutation | None:
        keys = ('backbone', 'neck', 'head', 'dataset', 'sampler', 'optimizer', 'pipeline', 'augmentations', 'protocols')
        found = self._pick(lambda p, v: isinstance(v, dict | list) and p.split('.')[-1] in keys, self.all)
        return found and self._wrong('number for an entry', found[0], self.rng.choice(['5', 'ResNet', 'True']))

    def make_index(self) -> Mutation | None:
        found = self._pick(lambda p, v: isinstance(v, list) and v and isinstance(v[0], dict), self.all)
        return found and self._wrong('index', f'{found[0]}.{len(found[1]) + self.rng.randrange(3)}.size', '9')

    def make_key_of_a_scalar(self) -> Mutation | None:
        found = self._pick(lambda p, v: is_number(v))
        return found and self._wrong('key of a number', f'{found[0]}.value', '1')

    def make_reversed_range(self) -> Mutation | None:
        found = self._pick(
            lambda p, v: p.endswith(('.scale', '.sigma', '.crop_ratio_range')) and not is_number(v), self.all
        )
        return found and self._wrong('reversed range', found[0], f'[{found[1][1]},{found[1][0]}]')

    def make_unknown_name(self) -> Mutation | None:
        found = self._pick(
            lambda p, v: p.endswith(('.leave_one_out', '.predict', '.condition', '.label_keys')) and bool(v), self.all
        )
        return found and self._wrong('unknown name', found[0], f'[{misspelt(found[1][0], self.rng)}]')

    def make_one_channel(self) -> Mutation | None:
        known = dict(self.all)
        path, value = self.rng.choice(
            [('model.backbone.in_channels', '1'), ('model.neck.in_channels', '65'), ('model.head.in_channels', '7')]
        )
        parent = path.rpartition('.')[0]
        return self._wrong('channels', path, value) if path in known or (parent in known and 'back' in path) else None

    def make_right_text(self) -> Mutation | None:
        """A path as typed."""
        value = self.rng.choice(FOLDERS)
        found = self._pick(lambda p, v: p == 'train_dataloader.dataset.data_root')
        if found and self.rng.random() < 0.7:
            return Mutation('text', self.name, found[0], (f'{found[0]}={value}',), right=value)
        return Mutation('text', self.name, 'work_dir', (f'work_dir={value}',), right=value) if value != 'None' else None

    def make_right_number(self) -> Mutation | None:
        found = self._pick(lambda p, v: is_number(v) and p.split('.')[-1] in RIGHT and not p.startswith('test'))
        if not found:
            return None
        value = self.rng.choice(RIGHT[found[0].split('.')[-1]])
        return Mutation('number', self.name, found[0], (f'{found[0]}={value}',), right=float(value))

    def make_right_addition(self) -> Mutation | None:
        if self.name not in TRAIN:
            return None
        path, value, right = self.rng.choice(
            [
                ('optim_wrapper.accumulative_counts', '2', 2),
                ('optim_wrapper.clip_grad.max_norm', '1.5', 1.5),
                ('train_dataloader.num_workers', '0', 0),
                ('train_dataloader.dataset.indices', '16', 16),
                ('randomness.deterministic', 'False', False),
            ]
        )
        return Mutation('addition', self.name, path, (f'{path}={value}',), right=right)

    def make_right_variable(self) -> Mutation | None:
        name = self.rng.choice(['note', 'my_pictures', 'width_of_my_net', 'author'])
        return Mutation('own variable', self.name, name, edit=lambda c: c.update({name: 'mine'}), right='mine')


def shrunk(name: str, root: Path) -> Config:
    """A config at toy size: 32 pictures, one step of an epoch takes a second."""
    config = Config.fromfile(CONFIGS / f'{name}.py')
    model = config.get('model')
    if model:
        narrow = 64 if config.model.backbone.depth == 18 else 256
        config.model.backbone.update(stem_channels=8, base_channels=8)
        (config.model.neck if 'in_channels' in config.model.neck else config.model.head).in_channels = narrow
        if 'queue_len' in config.model.neck:
            config.model.neck.queue_len = 64
        loaders = [config.train_dataloader]
    else:
        config.model = shrunk('looc/looc_factors', root).model
        loaders = [config.test_dataloader, config.test_cfg.train_dataloader]
    for loader in loaders:
        loader.batch_size, loader.num_workers = 8, 0
        loader.pop('persistent_workers', None)
        if loader.dataset.type == 'Factors':
            loader.dataset.length = 32
        else:
            loader.dataset.data_root = 'pictures'
            loader.dataset.pop('data_prefix', None)
    config.work_dir, config.log_level = 'work', 'ERROR'
    return config


def pictures(root: Path) -> None:
    """Folders of 20 pictures in two classes, in the current folder."""
    rng = np.random.default_rng(0)
    for folder in FOLDERS:
        for index in range(20):
            path = root / folder / f'class_{index % 2}' / f'{index}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(cv2.imencode('.png', rng.integers(0, 256, (40, 40, 3), np.uint8))[1].tobytes())


def work(config: Config) -> None:
    """Build what a config describes; train one step, or evaluate."""
    config.experiment_name = uuid4().hex
    testing = 'test_dataloader' in config
    if not testing:
        shorten_schedule(config)
    setup_launch(config, 'none')
    runner = Runner.from_cfg(config)
    if testing:
        runner.test()
        return
    runner._train_loop = runner.build_train_loop(runner._train_loop)  # type: ignore[arg-type]
    check_batches(runner)
    drop_empty_parts(runner)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)  # type: ignore[arg-type]
    if runner.param_schedulers is not None:
        runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)  # type: ignore[arg-type]
    runner.model.train_step(next(iter(runner.train_dataloader)), optim_wrapper=runner.optim_wrapper)


def judge(mutation: Mutation, config: Config, before: bool) -> tuple[str, str]:
    """The verdict, 'good', 'silent', 'obscure' or 'refused', and the message of the error."""
    config = copy.deepcopy(config)
    if mutation.edit:
        mutation.edit(config._cfg_dict)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            if before:
                pairs = (word.split('=', 1) for word in mutation.words)
                config.merge_from_dict({key: DictAction._parse_iterable(value) for key, value in pairs})
            else:
                options = Options()
                for word in mutation.words:
                    options.add(word)
                merge_options(config, options)
                check_config(config, options)
            found = dict(leaves(config.to_dict())).get(mutation.path)
            work(config)
    except Exception as error:  # whatever a wrong config leads to
        message = f'{type(error).__name__}: {error}'
        if mutation.right is not None:
            return 'refused', message
        *parents, key = mutation.path.split('.')
        named = mutation.path in message or ('.'.join(parents) in message and bool(parents) and key in message)
        helps = any(each in message for each in mutation.hints) or ALLOWED.search(message)
        return ('good' if named and helps else 'obscure'), message
    if mutation.right is None or found != mutation.right:
        return 'silent', f'{mutation.path} is {found!r}'
    return 'good', ''


def run(number: int, seed: int, before: bool, show: bool = False) -> Counter[str]:
    """Make mutations in a folder of their own, judge them, print those that are not good."""
    rng = random.Random(seed)
    verdicts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        pictures(Path(folder))
        configs = {name: shrunk(name, Path(folder)) for name in [*TRAIN, *TEST]}
        mutators = {name: Mutator(name, each.to_dict(), rng, Path(folder)) for name, each in configs.items()}
        for _ in range(number):
            name = rng.choice(TEST if rng.random() < 0.2 else TRAIN)
            mutation = mutators[name].mutation()
            torch.manual_seed(0)
            verdict, message = judge(mutation, configs[name], before)
            verdicts[verdict] += 1
            if show or verdict != 'good':
                what = ' '.join(mutation.words) or mutation.path
                print(f'{verdict:8}{mutation.kind:24}{name:26}{what:60} {" ".join(message.split())[:240]}', flush=True)
    return verdicts


def goals_met(verdicts: Counter[str]) -> bool:
    """No silent mutation, no right one refused, at most a tenth obscure."""
    return not verdicts['silent'] and not verdicts['refused'] and verdicts['obscure'] <= verdicts.total() / 10


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description='Change configs at random, and judge what the changes lead to.')
    parser.add_argument('--number', type=int, default=300)
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--before', action='store_true', help='without the check, as MMEngine reads configs')
    parser.add_argument('--show', action='store_true', help='print the good ones too')
    arguments = parser.parse_args()
    found = run(arguments.number, arguments.seed, arguments.before, arguments.show)
    print(', '.join(f'{found[verdict]} {verdict}' for verdict in ('good', 'silent', 'obscure', 'refused')))
    sys.exit(not goals_met(found))
