"""Builds what runs consist of before the first one starts: it takes seconds, and a mistake costs no hours."""

import copy
from collections.abc import Callable, Sequence
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope

from looc_mm.config_check.check import check_config
from looc_mm.config_check.problem import ConfigError
from looc_mm.datasets.shards import read_canvases
from looc_mm.engine.launch import shorten_schedule
from looc_mm.plugins import load_files
from looc_mm.registry import DATASETS, MODELS, PROTOCOLS

from .plan import Changes, Run, digest


def check(runs: Sequence[Run]) -> dict[str, dict[str, Any]]:
    """Build the model, the data and the protocols of each config once.

    Args:
        runs: Of one plan.

    Returns:
        For the records of each config, by its name: ``method`` with ``type``, ``spaces`` and ``strategy``, and
        ``data`` with ``type`` and ``pictures``; ``data`` is None for random weights.

    Raises:
        ValueError: One of them cannot be built, or a training is too short for a schedule that cannot be shortened.
    """
    if not runs:
        return {}
    _attempt('A plug-in', load_files, runs[0].changes.plugins)
    pictures: dict[str, int] = {}  # many configs share a dataset, and a large one takes a while
    first = {run.name: run for run in reversed(runs)}  # of each config
    found = {
        name: _check_pretraining(run.path, run.config, run.changes, pictures) for name, run in reversed(first.items())
    }
    for evaluation in runs[0].evaluations:
        _check_keys(evaluation.path, evaluation.config, runs[0].changes.evaluate_options)
        _check_evaluation(evaluation.path, evaluation.config, pictures)
    return found


def _check_pretraining(path: str, config: Config, changes: Changes, pictures: dict[str, int]) -> dict[str, Any]:
    _check_keys(path, config, changes.options)
    with DefaultScope.overwrite_default_scope(config.get('default_scope')):
        model = _attempt(f'The model of {path}', MODELS.build, copy.deepcopy(config.model))
        data = None
        if config.train_cfg.get('max_epochs') != 0:
            _attempt(f'The schedule of {path}', shorten_schedule, copy.deepcopy(config))
            data = _attempt(f'The training data of {path}', _training_data, config, changes.canvases, pictures)
    spaces = list(getattr(model, 'spaces', []))
    pipeline = (config.model.get('data_preprocessor') or {}).get('pipeline') or {}
    strategy = pipeline.get('strategy', 'leave_one_out') if pipeline and len(spaces) > 1 else None
    return {'method': {'type': config.model.type, 'spaces': spaces, 'strategy': strategy}, 'data': data}


def _check_keys(path: str, config: Config, options: dict[str, Any]) -> None:
    checked = config.copy()
    if (config.get('train_cfg') or {}).get('max_epochs') == 0:  # random weights: nothing of the training is built
        for key in ('train_dataloader', 'train_cfg', 'param_scheduler'):
            checked.pop(key, None)
    try:
        check_config(checked, options)
    except ConfigError as error:
        raise ValueError(f'{path}: {error}') from error


def _training_data(config: Config, canvases: str | None, pictures: dict[str, int]) -> dict[str, Any]:
    loader = copy.deepcopy(config.train_dataloader)
    if canvases:
        read_canvases(loader, canvases)
    return {'type': config.train_dataloader.dataset.type, 'pictures': _count_pictures(loader, pictures)}


def _check_evaluation(path: str, config: Config, pictures: dict[str, int]) -> None:
    with DefaultScope.overwrite_default_scope(config.get('default_scope')):
        for protocol in config.test_cfg.protocols:
            _attempt(f'A protocol of {path}', PROTOCOLS.build, copy.deepcopy(protocol))
        for loader in (config.test_cfg.train_dataloader, config.test_dataloader):
            _attempt(f'The data of {path}', _count_pictures, loader, pictures)


def _count_pictures(loader: dict[str, Any], known: dict[str, int]) -> int:
    key = digest(loader['dataset'])
    if key not in known:
        known[key] = len(DATASETS.build(copy.deepcopy(loader['dataset'])))
    return known[key]


def _attempt(what: str, build: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return build(*arguments)
    except Exception as error:  # whatever a registered class raises
        raise ValueError(f'{what} cannot be built: {type(error).__name__}: {error}') from error
