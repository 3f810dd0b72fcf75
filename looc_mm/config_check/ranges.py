"""Numbers that are out of range, and parts of a config that do not fit each other.

Our own classes check the ranges of their own arguments; :mod:`looc_mm.config_check.trial` builds them. Here are the
arguments of other libraries, which take such numbers without a word, and what concerns more than one component.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing import get_all_start_methods
from typing import Any, NamedTuple

from .components import Component
from .problem import Problem

SMALLEST_VIEW = 8  # pixels
LOG_LEVELS = ('DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL', 'NOTSET')


class Range(NamedTuple):
    """Numbers that an argument may have."""

    keys: str
    allowed: Callable[[float], bool]
    text: str


#: The first line whose pattern is the whole path of a number counts.
RANGES = [
    Range(r'.*\.(num_workers|weight_decay|seed|opencv_num_threads|weight)', lambda x: x >= 0, '0 or more'),
    Range(r'.*\.interval', lambda x: x >= 1 or x == -1, '1 or more, or -1 for never'),
    Range(r'.*\.max_keep_ckpts', lambda x: x >= 1 or x == -1, '1 or more, or -1 for all'),
    Range(r'.*\.(lr|l2|temperature|eps|max_norm|clip_value|norm_type)', lambda x: x > 0, 'more than 0'),
    Range(r'optim_wrapper\..*\.(momentum|dampening|betas\.\d+)', lambda x: 0 <= x < 1, '0 or more and below 1'),
    Range(r'param_scheduler\..*gamma', lambda x: 0 < x <= 1, 'more than 0 and at most 1'),
    Range(r'param_scheduler\..*(start|end)_factor', lambda x: 0 < x <= 1, 'more than 0 and at most 1'),
    Range(r'param_scheduler\..*(begin|eta_min)', lambda x: x >= 0, '0 or more'),
    Range(r'param_scheduler\..*(end|T_max|step_size)', lambda x: x > 0, 'more than 0'),
    Range(r'param_scheduler\..*milestones\.\d+', lambda x: x >= 1, '1 or more'),
    Range(r'.*\.drop_(path_)?rate', lambda x: 0 <= x < 1, '0 or more and below 1'),
    Range(r'.*\.(.*_)?prob', lambda x: 0 <= x <= 1, 'from 0 to 1'),
    Range(r'.*\.frozen_stages', lambda x: x >= -1, '-1 for none, or the number of the last frozen stage'),
    Range(
        r'.*\.(batch_size|prefetch_factor|accumulative_counts|base_batch_size|max_epochs|max_iters|val_interval|epochs'
        r'|window_size|depth|num_stages|num_classes|queue_len|length|.*_channels|size|crop_size|scale|topk|iterations'
        r'|trials|shots|images|pictures|shown|k|max_iter|canvas|styles|indices|strides|dilations)(\.\d+)?',
        lambda x: x > 0,
        'more than 0',
    ),
]


def problems(config: Mapping[str, Any], parts: Sequence[Component]) -> Iterator[Problem]:
    """Numbers that are out of range, and parts that do not fit each other."""
    for part in parts:
        for key, value in part.config.items() if part.is_known else ():
            yield from _of_number(f'{part.path}.{key}', value)
    yield from _clip_grad(config)
    yield from _channels(config)
    yield from _views(config, parts)
    yield from _normalisation(parts)
    yield from _labels(parts)
    method = ((config.get('env_cfg') or {}).get('mp_cfg') or {}).get('mp_start_method', 'fork')
    if method not in (allowed := get_all_start_methods()):
        yield Problem('env_cfg.mp_cfg.mp_start_method', f'got {method!r}; allowed here: {", ".join(allowed)}')
    level = config.get('log_level', 'INFO')
    if isinstance(level, str) and level not in LOG_LEVELS:
        yield Problem('log_level', f'got {level!r}; allowed: {", ".join(LOG_LEVELS)}')


def _of_number(path: str, value: Any) -> Iterator[Problem]:
    if isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from _of_number(f'{path}.{index}', each)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if not math.isfinite(value):
        yield Problem(path, f'got {value}; allowed: a finite number')
        return
    for keys, allowed, text in RANGES:
        if re.fullmatch(keys, path):
            if not allowed(value):
                yield Problem(path, f'got {value}; allowed: {text}')
            return


def _clip_grad(config: Mapping[str, Any]) -> Iterator[Problem]:
    wrapper = config.get('optim_wrapper')
    clip = wrapper.get('clip_grad') if isinstance(wrapper, Mapping) else None
    if not isinstance(clip, Mapping):
        return
    kind = clip.get('type', 'norm')
    needed = {'norm': 'max_norm', 'value': 'clip_value'}.get(kind)
    if needed is None:
        yield Problem('optim_wrapper.clip_grad.type', f"got {kind!r}; allowed: 'norm' or 'value'")
    elif needed not in clip:
        yield Problem(f'optim_wrapper.clip_grad.{needed}', f'is missing: clip_grad of type {kind!r} needs it, a number')


def _channels(config: Mapping[str, Any]) -> Iterator[Problem]:
    model = config.get('model')
    backbone = model.get('backbone') if isinstance(model, Mapping) else None
    preprocessor = model.get('data_preprocessor') if isinstance(model, Mapping) else None
    count = preprocessor.get('in_channels', 3) if isinstance(preprocessor, Mapping) else 3
    if isinstance(backbone, Mapping) and backbone.get('in_channels', 3) != count:
        yield Problem(
            'model.backbone.in_channels',
            f'got {backbone["in_channels"]!r}; allowed: {count}, the channels that model.data_preprocessor gives. '
            f"Other pictures than 8-bit RGB: model.data_preprocessor=dict(type='MultiChannelPreprocessor', "
            f'in_channels=...), from which this value follows',
        )


def _views(config: Mapping[str, Any], parts: Sequence[Component]) -> Iterator[Problem]:
    """Crops that are too small for a network, and canvases that are smaller than the views cut from them."""
    crops = {
        part.path: part.config['size']
        for part in parts
        if part.path.startswith('model.') and part.key == 'augmentations' and _is_int(part.config.get('size'))
    }
    for path, size in crops.items():
        if size < SMALLEST_VIEW:
            yield Problem(f'{path}.size', f'got {size}; allowed: {SMALLEST_VIEW} pixels or more, for a network to see')
    for part in parts:
        if not part.path.startswith('train_dataloader.') or getattr(part.kind, '__name__', '') != 'LoadCanvas':
            continue
        canvas = part.config.get('size', part.kind().size)
        if crops and _is_int(canvas) and canvas < max(crops.values()):
            path, view = max(crops.items(), key=lambda item: item[1])
            yield Problem(
                f'{part.path}.size',
                f'got {canvas}, a canvas smaller than the views that are cut from it ({path}.size={view}); allowed: '
                f'{view} or more',
            )


def _normalisation(parts: Sequence[Component]) -> Iterator[Problem]:
    """Mean and deviation of a preprocessor that takes pixels from 0 to 255; ours checks its own."""
    for part in parts:
        if part.key != 'data_preprocessor' or getattr(part.kind, '__module__', '').startswith('looc_mm.'):
            continue
        for key in ('mean', 'std'):
            values = part.config.get(key)
            if values is None:
                continue
            if not isinstance(values, list | tuple) or not all(isinstance(each, int | float) for each in values):
                yield Problem(f'{part.path}.{key}', f'got {values!r}; allowed: a list of three numbers')
            elif (
                len(values) != 3 or not all(0 <= each <= 255 for each in values) or (key == 'std' and min(values) <= 0)
            ):
                text = 'above 0 and up to 255' if key == 'std' else 'from 0 to 255'
                yield Problem(f'{part.path}.{key}', f'got {list(values)}; allowed: three numbers {text}')
            elif 0 < max(values) <= 1:
                yield Problem(
                    f'{part.path}.{key}',
                    f'got {list(values)}, for pixels from 0 to 1; allowed: three numbers for pixels from 0 to 255, '
                    f'{[round(255 * each, 3) for each in values]}',
                )


def _labels(parts: Sequence[Component]) -> Iterator[Problem]:
    """Labels that ``PackCanvas`` is to pass on, and no sample of our datasets has."""
    datasets = [part for part in parts if part.key == 'dataset' and hasattr(part.kind, 'METAINFO')]
    for dataset in datasets:
        if not dataset.kind.__module__.startswith('looc_mm.') or dataset.kind.__name__ == 'CanvasShards':
            continue
        allowed = sorted({'gt_label', *dataset.kind.METAINFO, *getattr(dataset.kind, 'NUMBERS', ())} - {'classes'})
        steps = dataset.config.get('pipeline')
        for index, step in enumerate(steps if isinstance(steps, list | tuple) else ()):
            keys = step.get('label_keys', ()) if isinstance(step, Mapping) and step.get('type') == 'PackCanvas' else ()
            for key in keys if isinstance(keys, list | tuple) else ():
                if key not in allowed:
                    yield Problem(
                        f'{dataset.path}.pipeline.{index}.label_keys',
                        f'got {key!r}, a label that {dataset.kind.__name__} does not have; '
                        f'allowed: {", ".join(allowed)}',
                    )


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
