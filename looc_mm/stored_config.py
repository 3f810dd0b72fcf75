"""The model of a stored training config, without running it."""

import ast
import re
from collections.abc import Iterable, Iterator
from typing import Any

from looc_mm.registry import AUGMENTATIONS, MODELS, TRANSFORMS
from looc_mm.stack import backbones

#: Types of MMPreTrain, MMCV and MMEngine that a stored config may name. They read no file and evaluate no text.
ALLOWED_TYPES = frozenset(
    [
        *backbones.__all__,
        *('ImageClassifier', 'GlobalAveragePooling', 'LinearClsHead', 'ClsHead', 'ClsDataPreprocessor'),
        *('SelfSupDataPreprocessor', 'CrossEntropyLoss', 'LabelSmoothLoss', 'Mixup', 'CutMix', 'ResizeMix'),
        *('BN', 'BN1d', 'BN2d', 'SyncBN', 'GN', 'LN', 'LN2d', 'IN', 'GRN', 'Conv', 'Conv2d', 'ConvWS', 'DropPath'),
        *('ReLU', 'ReLU6', 'LeakyReLU', 'PReLU', 'ELU', 'GELU', 'SiLU', 'Swish', 'HSwish', 'HSigmoid', 'Sigmoid'),
    ]
)
#: timm loads weights and architectures from elsewhere by its other arguments.
TIMM_ARGUMENTS = {'type', 'model_name', 'features_only', 'in_channels', 'out_indices'}
#: Settings of a training that the trained network does not need: they read other files, or choose a compiler.
LEFT_OUT = ('init_cfg', 'pretrained', 'compile')
#: Characters of a config; Python's parser takes a thousand times the memory.
LONGEST = 2**20
#: Number in a config; a network of so many layers or channels would fill the memory.
LARGEST = 2**24


def plain_model(text: str) -> Any:
    """``model`` of a config, without running it.

    Raises:
        ValueError: It is more than literals, or names a type that is not allowed.
        SyntaxError: It is no Python, too long, or nested too deeply.
    """
    model = plain_value(text, 'model')
    return (
        model if model is None else _checked(model, ALLOWED_TYPES.union(*(each.module_dict for each in _registries())))
    )


def plain_value(text: str, name: str) -> Any:
    """A variable of a config, without running it, to be read and not to be built; None if there is none.

    Raises:
        ValueError: It is more than literals.
        SyntaxError: It is no Python, too long, or nested too deeply.
    """
    if len(text) > LONGEST:
        raise SyntaxError(f'it has {len(text):,} characters, and at most {LONGEST:,} are allowed')
    try:
        for statement in reversed(ast.parse(text).body):
            names = [target.id for target in getattr(statement, 'targets', []) if isinstance(target, ast.Name)]
            if isinstance(statement, ast.Assign) and name in names:
                return _literal(statement.value)
    except (RecursionError, MemoryError) as error:  # MemoryError is of Python's parser
        raise SyntaxError('it is nested too deeply') from error
    return None


def _registries() -> Iterator[Any]:
    """Our own, with what plug-ins registered in them."""
    for registry in (MODELS, TRANSFORMS, AUGMENTATIONS):
        registry.import_from_location()
        yield registry


def _checked(value: Any, allowed: Iterable[str]) -> Any:
    """A copy of a config without what a trained network does not need.

    Raises:
        ValueError: A type is not allowed, or a number is too large.
    """
    if isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError(f'a number of {len(str(value))} digits is larger than {LARGEST:,}')
    if isinstance(value, list | tuple):
        return type(value)(_checked(each, allowed) for each in value)
    if not isinstance(value, dict):
        return value
    kind = value.get('type')
    if '_scope_' in value or ('type' in value and not (isinstance(kind, str) and kind in allowed)):
        raise ValueError(
            f'type {str(value.get("_scope_", kind))[:100]!r} is neither of looc_mm nor one of the allowed types'
        )
    kept = {key: each for key, each in value.items() if key not in LEFT_OUT}
    if kind == 'TIMMBackbone' and (set(kept) - TIMM_ARGUMENTS or not re.fullmatch(r'[\w.]+', str(kept['model_name']))):
        raise ValueError(f'TIMMBackbone has more than the name of an architecture, {sorted(TIMM_ARGUMENTS)}: {kept}')
    return {key: _checked(each, allowed) for key, each in kept.items()}


def _literal(node: ast.expr) -> Any:
    """Evaluate what ``Config.pretty_text`` writes: literals, and ``dict(key=...)`` or ``dict({'key': ...})``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        value: dict[Any, Any] = {}
        for argument in node.args:
            value.update(_literal(argument))
        value.update({keyword.arg: _literal(keyword.value) for keyword in node.keywords})
        return value
    if isinstance(node, ast.Dict):
        return {
            ast.literal_eval(key): _literal(each)
            for key, each in zip(node.keys, node.values, strict=True)
            if key is not None
        }
    if isinstance(node, ast.List):
        return [_literal(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_literal(item) for item in node.elts)
    return ast.literal_eval(node)
