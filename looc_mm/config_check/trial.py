"""Errors that the classes themselves raise: components that cost nothing are built, the network without weights."""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from looc_mm import registry as ours
from looc_mm.channels import output_channels
from looc_mm.registry import MODELS

from .components import Component, filled
from .hints import shown
from .problem import Problem

#: What is built, by key: these are small and read no pictures.
PURE = {'augmentations', 'pipeline', 'protocols', 'probe', 'optimizer', 'param_scheduler', 'data_preprocessor', 'head'}
KNOWN = {'default_hooks', 'custom_hooks', 'dataset'}  # only where the class is known to do nothing else
ERRORS = (ValueError, TypeError, KeyError, AssertionError, IndexError, AttributeError, RuntimeError)


def problems(config: Mapping[str, Any], parts: Sequence[Component], wrong: Sequence[str]) -> Iterator[Problem]:
    """What the constructors of the components refuse.

    Args:
        config: The config.
        parts: Its components.
        wrong: Paths where something is wrong already; what is there, or above it, is not built.
    """
    known = list(wrong)
    for part in reversed(parts):  # inner ones first: an outer one would only repeat their error
        if part.kind is None or _is_wrong(part.path, known) or not _is_cheap(part):
            continue
        problem = _attempt(part, config)
        if problem:
            known.append(problem.path)
            yield problem
    if isinstance(config.get('model'), Mapping) and not _is_wrong('model', known):
        yield from _network(config['model'], parts)


def _is_wrong(path: str, known: Sequence[str]) -> bool:
    return any(each == path or each.startswith(f'{path}.') for each in known)


def _is_cheap(part: Component) -> bool:
    return part.key in PURE or (part.key in KNOWN and part.is_known and filled(part.path, part.key))


def _attempt(part: Component, config: Mapping[str, Any]) -> Problem | None:
    settings = {key: value for key, value in copy.deepcopy(dict(part.config)).items() if key != 'priority'}
    settings.setdefault('type', part.kind)
    weight = nn.Parameter(torch.zeros(1))
    try:
        if part.key == 'dataset':
            _dataset(part, settings)
        elif part.key == 'optimizer':
            ours.OPTIMIZERS.build({**settings, 'params': [weight]})
        elif part.key == 'param_scheduler':
            epochs = (config.get('train_cfg') or {}).get('max_epochs') or 1
            settings = {'end': max(epochs, settings.get('begin', 0) + 1), **settings}
            ours.PARAM_SCHEDULERS.build({**settings, 'optimizer': torch.optim.SGD([weight], lr=1), 'epoch_length': 10})
        elif part.registry is not None:
            part.registry.build(settings)
    except ERRORS as error:
        return explained(part, error)
    except OSError:  # a missing file: the run names it when it opens it
        return None
    return None


def _dataset(part: Component, settings: dict[str, Any]) -> None:
    """Build a dataset without listing its files."""
    if 'lazy_init' not in part.takes.hints:
        return
    settings['lazy_init'] = True
    if 'pipeline' in settings:
        settings['pipeline'] = []
    ours.DATASETS.build(settings)


def explained(part: Component, error: BaseException) -> Problem:
    """A problem from the error of a constructor: the key that the message names, and what the class takes."""
    text = str(error.args[0] if error.args else error) or type(error).__name__
    text = re.sub(r'^class `\w+` in \S+: ', '', text).strip('"')
    named = [key for key in part.config if re.search(rf'\b{re.escape(key)}\s*=', text)]
    named = named or [key for key in part.config if re.search(rf'\b{re.escape(key)}\b', text)]
    path = f'{part.path}.{named[0]}' if len(named) == 1 else part.path
    module = getattr(part.kind, '__module__', '')
    if module.startswith('looc_mm.'):
        return Problem(path, text)
    takes = ', '.join(f'{key}: {shown(hint)}' for key, hint in part.takes.hints.items() if key in part.config)
    known = getattr(part.kind, 'arch_settings', None)
    depths = f'; depth is one of {", ".join(map(str, known))}' if isinstance(known, Mapping) else ''
    return Problem(path, f'cannot be built: {text}. Got {dict(part.config)}; allowed: {takes}{depths}')


class _NoWeights(TorchFunctionMode):
    """Weights get no memory and no values."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if function is torch.empty:
            kwargs['device'] = 'meta'
        return function(*args, **kwargs)


def _network(model: Mapping[str, Any], parts: Sequence[Component]) -> Iterator[Problem]:
    """Build the model without weights, and compare the width of the backbone's output with what its reader takes."""
    by_path = {part.path: part for part in parts}
    if backbone := by_path.get('model.backbone'):
        try:
            width = _width(backbone)
        except (*ERRORS, ImportError) as error:
            yield explained(backbone, error)
            return
        reader = next((key for key in ('neck', 'head') if 'in_channels' in (model.get(key) or {})), None)
        if reader and width and model[reader]['in_channels'] != width:
            yield Problem(
                f'model.{reader}.in_channels',
                f'got {model[reader]["in_channels"]!r}; allowed: {width}, the channels of what model.backbone gives',
            )
            return
    if whole := by_path.get('model'):
        settings = {key: value for key, value in copy.deepcopy(dict(model)).items() if key != 'compile'}
        if 'queue_len' in (settings.get('neck') or {}):
            settings['neck']['queue_len'] = 1  # its keys are drawn
        try:
            with _NoWeights():
                MODELS.build(settings)
        except (ValueError, TypeError, KeyError, AssertionError) as error:
            yield explained(whole, error)


def _width(backbone: Component) -> int | None:
    """Channels of the last output of a backbone; None if it does not run without weights."""
    with _NoWeights():
        network = MODELS.build(copy.deepcopy(dict(backbone.config)))
    try:
        return output_channels(network)
    except ValueError:
        return None
