"""The settings of a training in about fifteen lines, as they are after all defaults and options."""

import re
import textwrap
from collections.abc import Iterator
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.hooks import CheckpointHook
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn

from .amp import AutocastOptimWrapper

WIDTH = 96  # of the text beside a name


def settings(runner: Runner) -> str:
    """What a runner is about to train: a heading, and a line for each setting.

    Args:
        runner: A runner whose training begins, after a checkpoint was loaded.
    """
    lines = ['The training:']
    for name, value in _items(runner):
        first, *others = textwrap.wrap(value, WIDTH, break_long_words=False, break_on_hyphens=False)
        lines += [f'  {name:<14} {first}', *(f'  {"":<14} {other}' for other in others)]
    return '\n'.join(lines)


def _items(runner: Runner) -> Iterator[tuple[str, str]]:
    model: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
    loader, loop = runner.train_dataloader, runner.train_loop
    processes = get_world_size()
    device = next(model.parameters()).device
    yield 'method', _method(model)
    if spaces := getattr(model, 'spaces', ()):
        yield 'spaces', ', '.join(spaces)
    pipeline = getattr(getattr(model, 'data_preprocessor', None), 'pipeline', None)
    if pipeline is not None:
        yield 'augmentations', _short(', '.join(map(repr, pipeline.augmentations)))
        height, width = pipeline.view_size((0, 0))  # what no crop or resize sets stays 0
        size = f'{height} x {width} pixels' if height and width else 'as large as the picture'
        yield 'views', f'{len(pipeline.views)} of each picture, {size}'
    yield 'network', _network(model)
    source = getattr(loader.dataset, 'data_root', None) or getattr(loader.dataset, 'img_prefix', None)
    yield 'pictures', f'{len(loader.dataset)} ({type(loader.dataset).__name__}{f", {source}" if source else ""})'
    accumulated = getattr(runner.optim_wrapper, '_accumulative_counts', 1)
    per_step = f'{loader.batch_size} pictures a step on each process'
    if accumulated > 1:
        per_step += f', the optimizer steps after {accumulated} of them'
    yield 'batch', per_step
    name = torch.cuda.get_device_name(device) if device.type == 'cuda' else 'CPU'
    threads = '' if device.type == 'cuda' else f', torch threads in each: {torch.get_num_threads()}'
    yield 'processes', f'{processes} on {name}{threads}; workers that load pictures for each: {loader.num_workers}'
    yield 'precision', 'bfloat16' if isinstance(runner.optim_wrapper, AutocastOptimWrapper) else 'float32'
    yield 'optimizer', _optimizer(runner.optim_wrapper)
    length = f'{runner.max_iters} steps'
    if isinstance(loop, EpochBasedTrainLoop):
        length = f'{runner.max_epochs} epochs of {len(loader)} steps'
    yield 'schedule', f'{length}; {_schedule(runner)}'
    yield 'checkpoints', _checkpoints(runner)
    yield 'starts from', _start(runner)
    yield 'work dir', f'{runner.work_dir} (the whole log: {runner.timestamp}/{runner.timestamp}.log)'
    yield 'seed', str(runner.seed)


def _method(model: nn.Module) -> str:
    head = getattr(model, 'head', None)
    text = type(model).__name__
    if head is not None:
        text += f' with {type(head).__name__}'
    neck = getattr(model, 'neck', None)
    known = ((head, 'temperature', 'temperature'), (model, 'momentum', 'momentum'), (neck, 'queue_len', 'queue'))
    found = [f'{word} {value}' for owner, key, word in known if (value := getattr(owner, key, None)) is not None]
    return ', '.join([text, *found])


def _network(model: nn.Module) -> str:
    backbone = getattr(model, 'backbone', model)
    depth = f'-{backbone.depth}' if isinstance(getattr(backbone, 'depth', None), int | str) else ''
    millions = sum(each.numel() for each in backbone.parameters()) / 1e6
    return f'{type(backbone).__name__}{depth}, {millions:.3g} million weights'


def _short(text: str) -> str:
    """The same with decimals of three digits at most."""
    return re.sub(r'\d+\.\d{4,}', lambda found: f'{float(found[0]):.3g}', text)


def _optimizer(wrapper: Any) -> str:
    optimizer = wrapper.optimizer
    group = optimizer.param_groups[0]
    names = {'initial_lr': 'learning rate', 'momentum': 'momentum', 'weight_decay': 'weight decay'}
    if 'initial_lr' not in group:
        names = {'lr': 'learning rate', **names}
    return ', '.join(
        [type(optimizer).__name__, *(f'{text} {group[key]:g}' for key, text in names.items() if key in group)]
    )


def _schedule(runner: Runner) -> str:
    parts: Any = runner.param_schedulers
    if not parts:
        return 'a constant learning rate'
    return ', then '.join(f'{type(each).__name__} from step {each.begin}' for each in parts)


def _checkpoints(runner: Runner) -> str:
    hook = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
    if hook is None or hook.interval <= 0:
        return 'none'
    kept = f'the last {hook.max_keep_ckpts} are kept' if hook.max_keep_ckpts > 0 else 'all are kept'
    minutes = getattr(hook, 'minutes', None)
    latest = f', after {minutes:g} minutes at the latest' if minutes else ''
    return f'every {hook.interval} {"epochs" if hook.by_epoch else "steps"} and at the end{latest}; {kept}'


def _start(runner: Runner) -> str:
    if runner.iter:
        return f'step {runner.iter}, resumed'
    return f'the weights of {runner._load_from}' if runner._load_from else 'new weights'
