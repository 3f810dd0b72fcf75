"""The components of a config: where they are, which class each is, and which arguments the class takes.

Everything is read from registries, signatures and type hints, so that a plug-in is checked as our own classes are.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import mmengine.registry
from mmengine.dist.utils import _init_dist_pytorch
from mmengine.hooks import Hook
from mmengine.registry import FUNCTIONS, DefaultScope, Registry
from mmengine.runner import Runner
from mmengine.runner.utils import set_random_seed
from mmengine.utils import import_modules_from_strings
from mmengine.utils.dl_utils import set_multi_processing
from torch.distributed import init_process_group
from torch.nn.utils import clip_grad_norm_
from torch.utils.data import DataLoader

from looc_mm import registry as ours
from looc_mm.stack import registry as mmpretrain

from .hints import hint_of

#: Registries of entries by their key; other components belong to the registry of the component that has them.
REGISTRY_OF_KEY: dict[str, Registry] = {
    'model': ours.MODELS,
    'augmentations': ours.AUGMENTATIONS,
    'pipeline': ours.TRANSFORMS,
    'dataset': ours.DATASETS,
    'datasets': ours.DATASETS,
    'sampler': ours.DATA_SAMPLERS,
    'batch_sampler': ours.DATA_SAMPLERS,
    'collate_fn': FUNCTIONS,
    'worker_init_fn': FUNCTIONS,
    'protocols': ours.PROTOCOLS,
    'probe': ours.PROTOCOLS,
    'init_cfg': ours.WEIGHT_INITIALIZERS,
    'train_cfg': ours.LOOPS,
    'val_cfg': ours.LOOPS,
    'test_cfg': ours.LOOPS,
    'optim_wrapper': ours.OPTIM_WRAPPERS,
    'optimizer': ours.OPTIMIZERS,
    'param_scheduler': ours.PARAM_SCHEDULERS,
    'default_hooks': ours.HOOKS,
    'custom_hooks': ours.HOOKS,
    'visualizer': ours.VISUALIZERS,
    'vis_backends': ours.VISBACKENDS,
    'log_processor': ours.LOG_PROCESSORS,
    'model_wrapper_cfg': ours.MODEL_WRAPPERS,
    'val_evaluator': ours.METRICS,
    'test_evaluator': ours.METRICS,
}
#: The class of an entry that may leave out ``type``.
DEFAULT_TYPES = {
    'data_preprocessor': 'ClsDataPreprocessor',
    'optim_wrapper': 'OptimWrapper',
    'log_processor': 'LogProcessor',
    'visualizer': 'Visualizer',
    'model_wrapper_cfg': 'MMDistributedDataParallel',
    'val_cfg': 'ValLoop',
    'test_cfg': 'TestLoop',
}
#: Keys of entries that have a type: they are built, whatever class has them.
TYPED = {
    *(
        'model',
        'backbone',
        'neck',
        'head',
        'dataset',
        'sampler',
        'batch_sampler',
        'collate_fn',
        'optimizer',
        'pipeline',
    ),
    *('augmentations', 'protocols', 'param_scheduler', 'default_hooks', 'custom_hooks', 'vis_backends'),
}
#: What the code that builds a component adds to its config, by key of the entry.
ADDED = {
    'optim_wrapper': {'optimizer'},
    'optimizer': {'params'},
    'param_scheduler': {'optimizer'},
    'train_cfg': {'runner', 'dataloader'},
    'val_cfg': {'runner', 'dataloader', 'evaluator'},
    'test_cfg': {'runner', 'dataloader', 'evaluator'},
    'sampler': {'dataset', 'seed'},
    'batch_sampler': {'sampler', 'batch_size'},
    'model_wrapper_cfg': {'module'},
    'norm_cfg': {'num_features', 'num_channels', 'normalized_shape'},
    'conv_cfg': {'in_channels', 'out_channels', 'kernel_size'},
    'vis_backends': {'save_dir'},
    'visualizer': {'name', 'save_dir'},
}
#: Further keys that the code that builds a component reads, by key of the entry, with their types.
READ: dict[str, dict[str, Any]] = {
    'optim_wrapper': {'constructor': str, 'paramwise_cfg': dict | None},
    'param_scheduler': {'convert_to_iter_based': bool},
    'train_cfg': {'by_epoch': bool},
    'default_hooks': {'priority': int | str},
    'custom_hooks': {'priority': int | str},
    'norm_cfg': {'requires_grad': bool},
    'augmentations': dict(ours.ANY_AUGMENTATION),
}
KNOWN_PACKAGES = {'looc_mm', 'mmpretrain', 'mmengine', 'mmcv', 'torch'}
LOADER = {'dataset': Any, 'sampler': Any, 'batch_sampler': Any, 'collate_fn': Any, 'worker_init_fn': Any}


class Takes(NamedTuple):
    """What an entry takes.

    Attributes:
        hints: Type hint of each argument.
        required: Arguments that have no default.
        open: Whether it takes arguments that are not known.
    """

    hints: dict[str, Any]
    required: frozenset[str]
    open: bool = False


@dataclass(frozen=True)
class Component:
    """An entry of a config that becomes an object.

    Attributes:
        path: From the top of the config.
        key: The last key of the path that is no number: what the entry is for.
        config: Its entries.
        registry: Where its class is registered; None for an entry that is no registered class.
        kind: Its class or function; None if the type is not known.
        takes: What it takes.
    """

    path: str
    key: str
    config: Mapping[str, Any]
    registry: Registry | None
    kind: Any
    takes: Takes

    @property
    def is_known(self) -> bool:
        """Whether its class is one of looc_mm or the libraries below it, and no plug-in of which nothing is known."""
        return self.kind is None or self.kind.__module__.partition('.')[0] in KNOWN_PACKAGES


@cache
def takes(kind: Any) -> Takes:
    """The arguments of a class, with those that its ``**kwargs`` hands on to a parent, or of a function."""
    if not isinstance(kind, type):
        return _of_function(kind)[0]
    hints: dict[str, Any] = {}
    required: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()
    positional = 0
    for owner in (parent for parent in kind.__mro__ if '__init__' in vars(parent)):
        if owner is object or owner.__module__ == 'torch.nn.modules.module':
            break
        found, handed_on = _of_function(vars(owner)['__init__'], positional, given)
        required |= found.required - hints.keys()
        hints = {**found.hints, **hints}
        if not handed_on:
            break
        to_parent = _given_to_parent(owner)
        if to_parent is None:
            return Takes(hints, required, open=True)
        positional, given = to_parent
    return Takes(hints, required)


def _of_function(function: Any, positional: int = 0, given: Set[str] = frozenset()) -> tuple[Takes, bool]:
    """What a function takes beside what is given to it, and whether it has ``**kwargs``."""
    parameters = list(inspect.signature(function).parameters.values())
    parameters = parameters[1 if parameters and parameters[0].name in ('self', 'data_batch', 'batch') else 0 :]
    named = [each for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    named = [each for each in named[positional:] if each.name not in given]
    hints = {each.name: hint_of(function, each) for each in named}
    required = frozenset(each.name for each in named if each.default is each.empty)
    return Takes(hints, required), any(each.kind is each.VAR_KEYWORD for each in parameters)


@cache
def _given_to_parent(owner: type) -> tuple[int, frozenset[str]] | None:
    """What ``__init__`` gives to its parent beside ``**kwargs``: how many arguments by position, which by keyword.

    None if ``**kwargs`` goes elsewhere.
    """
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(vars(owner)['__init__'])))
    except (OSError, SyntaxError, TypeError):
        return 0, frozenset()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        keywords = {keyword.arg for keyword in call.keywords}
        if isinstance(call.func, ast.Attribute) and call.func.attr == '__init__' and None in keywords:
            by_position = sum(not isinstance(each, ast.Starred) for each in call.args)
            return by_position, frozenset(name for name in keywords if name)
    return None


@cache
def _signature(*functions: Any) -> Takes:
    """What several functions take together, all of it optional."""
    merged = {name: hint for each in functions for name, hint in _of_function(each)[0].hints.items()}
    return Takes(merged, frozenset())


def _plain(path: str, key: str, entry: Mapping[str, Any]) -> Takes | None:
    """What an entry takes that is no registered class; None if that is not known."""
    if key.endswith('_dataloader'):
        loader = takes(DataLoader).hints | LOADER | {'num_batch_per_epoch': int | None}
        return Takes(loader, frozenset({'dataset', 'batch_size'} if 'batch_sampler' not in entry else {'dataset'}))
    if path == 'randomness':
        return _signature(set_random_seed)
    if path == 'env_cfg.mp_cfg':
        return _signature(set_multi_processing)
    if path == 'env_cfg.dist_cfg':
        return _signature(init_process_group, _init_dist_pytorch)
    if path == 'env_cfg':
        names = {'cudnn_benchmark': bool, 'mp_cfg': dict, 'dist_cfg': dict, 'resource_limit': int}
        return Takes(names, frozenset())
    if path == 'auto_scale_lr':
        return Takes({'base_batch_size': float, 'enable': bool}, frozenset({'base_batch_size'}))
    if path == 'custom_imports':
        return _signature(import_modules_from_strings)
    if path == 'optim_wrapper.clip_grad':
        known = {name: Any for name in _signature(clip_grad_norm_).hints if name != 'parameters'}
        return Takes({**known, 'type': str, 'clip_value': float, 'max_norm': float}, frozenset())
    return None


@cache
def top_level() -> Mapping[str, Any]:
    """The names that MMEngine's runner reads from a config, with their types."""
    source = ast.walk(ast.parse(inspect.getsource(inspect.getmodule(Runner))))  # type: ignore[arg-type]
    gets = [node for node in source if isinstance(node, ast.Call) and getattr(node.func, 'attr', '') == 'get']
    read = {
        str(node.args[0].value): Any
        for node in gets
        if ast.unparse(node.func) == 'self.cfg.get' and isinstance(node.args[0], ast.Constant)
    }
    declared = {name: hint for name, hint in takes(Runner).hints.items() if name != 'cfg'}
    return {**read, **declared, 'custom_imports': dict, 'runner_type': str}


@cache
def _all_registries() -> tuple[Registry, ...]:
    modules = (ours, mmpretrain, mmengine.registry)
    return tuple(each for module in modules for each in vars(module).values() if isinstance(each, Registry))


def find(kind: Any, registry: Registry, strict: bool) -> Any:
    """The class of a type, in its registry or, unless that is certain, in any other; None if there is none."""
    if not isinstance(kind, str):
        return kind
    found = registry.get(kind) if kind else None
    if found or strict:
        return found
    return next((each.get(kind) for each in _all_registries() if kind in each.module_dict), None)


def names_in(registry: Registry) -> list[str]:
    """The types that a registry knows."""
    registry.import_from_location()
    known = set(registry.module_dict).union(*(parent.module_dict for parent in ours.ancestors(registry)))
    return sorted(known)


def components(config: Mapping[str, Any]) -> Iterator[Component]:
    """All components of a config, from the top down."""
    for key, entry in config.items():
        if key in top_level():
            yield from _walk(key, key, entry, REGISTRY_OF_KEY.get(key))


def _walk(path: str, key: str, entry: Any, registry: Registry | None) -> Iterator[Component]:
    if isinstance(entry, list | tuple):
        for index, each in enumerate(entry):
            yield from _walk(f'{path}.{index}', key, each, registry)
    if not isinstance(entry, Mapping):
        return
    component = _component(path, key, entry, registry)
    if component:
        yield component
    for name, each in entry.items():
        inner = REGISTRY_OF_KEY.get(name, registry)
        if path == 'default_hooks':  # its keys are names that a user chooses
            yield from _walk(f'{path}.{name}', key, each, registry)
        else:
            yield from _walk(f'{path}.{name}', name, each, inner)


def _component(path: str, key: str, entry: Mapping[str, Any], registry: Registry | None) -> Component | None:
    plain = _plain(path, key, entry)
    if plain:
        return Component(path, key, entry, None, None, plain)
    kind = entry.get('type', DEFAULT_TYPES.get(key))
    if path == 'train_cfg' and kind is None:
        kind = 'EpochBasedTrainLoop' if entry.get('by_epoch', True) else 'IterBasedTrainLoop'
    if registry is None or path == 'default_hooks' or (kind is None and key not in TYPED):
        return None
    found = None if kind is None else find(kind, registry, strict=key in REGISTRY_OF_KEY)
    if found is None or (key in DEFAULT_TYPES and not isinstance(found, type)):
        return Component(path, key, entry, registry, None, Takes({}, frozenset(), open=True))
    known = takes(found)
    if not filled(path, key):
        known = known._replace(required=frozenset())
    hints = {**known.hints, **READ.get(key, {})}
    if isinstance(found, type) and issubclass(found, Hook):
        hints |= READ['custom_hooks']
    return Component(path, key, entry, registry, found, known._replace(hints=hints))


def filled(path: str, key: str) -> bool:
    """Whether an entry has all arguments; a dataset of a protocol gets more for each run."""
    return key != 'dataset' or 'protocols' not in path.split('.')


def hint_at(config: Mapping[str, Any], key: str) -> Any:
    """The type hint of a key, which the config need not have; Any if it is not known."""
    parent, _, name = key.rpartition('.')
    if not parent:
        return top_level().get(name, Any)
    with DefaultScope.overwrite_default_scope(config.get('default_scope') or 'looc_mm'):
        found = next((part for part in components(config) if part.path == parent), None)
    return found.takes.hints.get(name, Any) if found else Any
