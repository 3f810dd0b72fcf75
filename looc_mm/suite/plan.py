"""The runs of a suite, each with a key that changes when anything changes that the run depends on.

Nothing here needs PyTorch, so a suite that is recorded already ends at once.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config

from looc_mm.config_check.options import merge_options
from looc_mm.configs import find_config


@dataclass(frozen=True)
class Changes:
    """What a suite changes in all its configs.

    Attributes:
        amp: Whether to train in mixed precision.
        epochs: Epochs of training; None for the config's number, 0 to evaluate random weights.
        canvases: Folder of canvases to train on, see ``looc pack-canvases``.
        plugins: Files that register classes.
        options: Entries of the pretraining configs, key to value.
        evaluate_options: Entries of the evaluation configs, key to value.
    """

    amp: bool = False
    epochs: int | None = None
    canvases: str | None = None
    plugins: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    evaluate_options: dict[str, Any] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        """The changes for a record: only those that were made, and no absolute paths."""
        made = {name: portable(value) for name, value in vars(self).items()}
        return {name: value for name, value in made.items() if value not in (None, False, [], {})}


@dataclass(frozen=True)
class Evaluation:
    """An evaluation config.

    Attributes:
        name: Its folder and file, such as 'linear_eval_factors'.
        path: Relative to the repository.
        config: As built, with the changes.
    """

    name: str
    path: str
    config: Config

    @property
    def key(self) -> str:
        """Hash of the built config."""
        return digest(self.config.to_dict())


@dataclass(frozen=True)
class Run:
    """One pretraining config with one seed, and its evaluations.

    Attributes:
        name: Name of the config file.
        path: Of the config file, relative to the repository.
        seed: Of the training and of the evaluations.
        config: As built, with the changes.
        changes: For the command line of the training, and for the record.
        evaluations: In the order of their names.
        config_key: Hash of the name and of all that the training depends on but the seed.
    """

    name: str
    path: str
    seed: int
    config: Config
    changes: Changes
    evaluations: tuple[Evaluation, ...]
    config_key: str

    def __str__(self) -> str:
        """For the user."""
        return f'{self.name} seed {self.seed}'

    @property
    def epochs(self) -> int | None:
        """Epochs of training; None where the config counts iterations."""
        return self.config.train_cfg.get('max_epochs')

    @property
    def training_key(self) -> str:
        """Hash of all that the training depends on."""
        return digest(self.config_key, self.seed)

    @property
    def key(self) -> str:
        """Hash of all that the record depends on."""
        return digest(self.training_key, sorted(evaluation.key for evaluation in self.evaluations))

    @property
    def folder(self) -> Path:
        """Where the run works, below the suite's work dir: other evaluations find the same training."""
        return Path(self.name, f'seed_{self.seed}_{self.training_key[:8]}')


def plan(
    configs: Sequence[str | Path],
    seeds: Sequence[int],
    evaluate: Sequence[str | Path],
    changes: Changes,
    root: Path,
) -> list[Run]:
    """Make the runs: every config with the first seed, then every config with the next one.

    Args:
        configs: Paths or names of pretraining configs.
        seeds: Seeds.
        evaluate: Paths or names of evaluation configs.
        changes: For all of them.
        root: Folder of the repository, which the paths in the records start from.

    Raises:
        ValueError: Nothing is to be run, a config is not found, cannot be read or is of the wrong kind, two configs
            have one name, a seed is given twice, or a plug-in does not exist.
    """
    for given, what in ((configs, 'pretraining config'), (seeds, 'seed (--seeds)'), (evaluate, '--evaluate config')):
        if not given:
            raise ValueError(f'Got no {what}; give at least one.')
    configs, evaluate = [find_config(each) for each in configs], [find_config(each) for each in evaluate]
    _check_distinct([str(seed) for seed in seeds], 'seed', 'Give each seed once.')
    _check_distinct([Path(path).stem for path in configs], 'config', 'Work dirs and tables go by it: rename one file.')
    names = [_evaluation_name(path) for path in evaluate]
    _check_distinct(names, 'evaluation config', 'Work dirs go by folder and file: rename one file.')
    if changes.epochs is not None and changes.epochs < 0:
        raise ValueError(f'--epochs is 0 (random weights) or more, got {changes.epochs}.')

    trained = {path: _read_pretraining(path, changes) for path in configs}
    evaluations = [
        Evaluation(name, _relative(path, root), _read_evaluation(path, changes))
        for name, path in sorted(zip(names, evaluate, strict=True))
    ]
    others = [changes.amp, changes.canvases and os.path.abspath(changes.canvases), *map(_content, changes.plugins)]
    return [
        Run(
            name=Path(path).stem,
            path=_relative(path, root),
            seed=seed,
            config=config,
            changes=changes,
            evaluations=tuple(evaluations),
            config_key=digest(Path(path).stem, config.to_dict(), others),
        )
        for seed in seeds
        for path, config in trained.items()
    ]


def digest(*parts: Any) -> str:
    """A hash, 16 hexadecimal digits, of plain values."""
    text = json.dumps(parts, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def portable(value: Any) -> Any:
    """A plain value for JSON in which every absolute path is reduced to its last part."""
    if isinstance(value, dict):
        return {key: portable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [portable(each) for each in value]
    return Path(value).name if isinstance(value, str) and os.path.isabs(value) else value


def _read_pretraining(path: str | Path, changes: Changes) -> Config:
    epochs = {} if changes.epochs is None else {'train_cfg.max_epochs': changes.epochs}
    config = _read(path, {**changes.options, **epochs})
    if missing := [key for key in ('model', 'train_dataloader', 'train_cfg') if not config.get(key)]:
        raise ValueError(
            f'{path} is no pretraining config, it has no {", ".join(missing)}. Evaluation configs go behind --evaluate.'
        )
    return config


def _read_evaluation(path: str | Path, changes: Changes) -> Config:
    config = _read(path, changes.evaluate_options)
    if not config.get('test_dataloader') or not (config.get('test_cfg') or {}).get('protocols'):
        raise ValueError(
            f'{path} is no evaluation config, it has no test_dataloader or no test_cfg.protocols. Give one like '
            f'configs/linear_eval/folder.py; pretraining configs go before --seeds.'
        )
    return config


def _read(path: str | Path, options: dict[str, Any]) -> Config:
    try:
        config = Config.fromfile(path)
        merge_options(config, options)
    except Exception as error:  # whatever a config's Python raises
        raise ValueError(
            f'{path} cannot be read as a config, or an option does not fit it: {type(error).__name__}: {error}'
        ) from error
    return config


def _check_distinct(names: Sequence[str], what: str, remedy: str) -> None:
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f'Two of the {what}s are named {twice[0]}. {remedy}')


def _evaluation_name(path: str | Path) -> str:
    path = Path(path).resolve()
    return f'{path.parent.name}_{path.stem}'


def _relative(path: str | Path, root: Path) -> str:
    """Relative to the repository; of a file elsewhere the name alone."""
    path, root = Path(path).resolve(), root.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def _content(plugin: str) -> str:
    if not Path(plugin).is_file():
        raise ValueError(f'There is no plug-in {plugin}; give the path of a Python file that registers classes.')
    return Path(plugin).read_text()
