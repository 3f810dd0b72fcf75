"""Reading somebody's checkpoint without running anything that it holds."""

import ast
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn


def read_checkpoint(path: str | Path, trust: bool = False) -> dict[str, Any]:
    """Read a checkpoint of tensors and plain values.

    Args:
        path: The file.
        trust: Whether pickled objects may be loaded, which runs code that the file brings.

    Returns:
        The checkpoint, on the CPU.

    Raises:
        FileNotFoundError: No such file.
        ValueError: The file is truncated, is no checkpoint, or holds pickled objects that are not trusted.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'No checkpoint at {path}.')
    try:
        return torch.load(path, map_location='cpu', weights_only=not trust)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        if isinstance(error, pickle.UnpicklingError) and zipfile.is_zipfile(path):
            raise ValueError(
                f'{path} holds pickled objects, and loading them runs code that the file brings. '
                'If you trust its origin, pass --trust-checkpoint.'
            ) from error
        raise ValueError(f'{path} cannot be read: it is truncated or no checkpoint.') from error


def read_training_config(checkpoint: Mapping[str, Any], path: str | Path, trust: bool = False) -> dict[str, Any]:
    """The training config's parts that an evaluation needs.

    The text is read as literals, and ``type`` must name something registered: MMEngine would import and call whatever a
    dotted path leads to.

    Args:
        checkpoint: As read from the file.
        path: The file, for messages.
        trust: Whether the config may run as the Python that it is.

    Returns:
        ``model`` and, if it is there, ``custom_imports``.

    Raises:
        ValueError: There is no config, none of a model, or one that needs trust.
    """
    text = checkpoint.get('meta', {}).get('cfg')
    if not text:
        raise ValueError(f'{path} holds no training config: define `model` in the evaluation config.')
    if trust:
        config = Config.fromstring(text, '.py').to_dict()
    else:
        try:
            config = {
                target.id: _literal(statement.value)
                for statement in ast.parse(text).body
                if isinstance(statement, ast.Assign)
                for target in statement.targets
                if isinstance(target, ast.Name) and target.id in ('model', 'custom_imports')
            }
        except (ValueError, SyntaxError) as error:
            raise ValueError(
                f'The training config in {path} is more than plain values with registered types ({error}). '
                'If you trust its origin, pass --trust-checkpoint.'
            ) from error
    if 'model' not in config:
        raise ValueError(f'The training config in {path} has no `model`: define one in the evaluation config.')
    return {key: config[key] for key in ('model', 'custom_imports') if key in config}


def check_weights(
    model: nn.Module, state_dict: Mapping[str, Tensor], path: str | Path, prefixes: tuple[str, ...]
) -> None:
    """Make sure that a checkpoint holds the weights that the features come from; MMEngine only warns.

    Args:
        model: The model, not wrapped.
        state_dict: Of the checkpoint.
        path: The file, for messages.
        prefixes: Where in the state dict the weights stand that are needed.

    Raises:
        ValueError: A weight is missing or has another shape.
    """
    given = {key.removeprefix('module.'): value.shape for key, value in state_dict.items()}
    needed = {key: value.shape for key, value in model.state_dict().items() if key.startswith(prefixes)}
    if wrong := [key for key, shape in needed.items() if given.get(key) != shape]:
        raise ValueError(
            f'{path} does not fit the model: {len(wrong)} of {len(needed)} weights are missing or differ in shape, '
            f'the first is {wrong[0]}. Is it a checkpoint of this architecture?'
        )


def _literal(node: ast.expr) -> Any:
    """Evaluate what ``Config.pretty_text`` writes: literals, and ``dict(key=...)`` or ``dict({'key': ...})``."""
    value: Any
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        value = {}
        for argument in node.args:
            value.update(_literal(argument))
        value.update({keyword.arg: _literal(keyword.value) for keyword in node.keywords})
    elif isinstance(node, ast.Dict):
        value = {ast.literal_eval(k): _literal(v) for k, v in zip(node.keys, node.values, strict=True) if k is not None}
    elif isinstance(node, ast.List):
        return [_literal(item) for item in node.elts]
    elif isinstance(node, ast.Tuple):
        return tuple(_literal(item) for item in node.elts)
    else:
        return ast.literal_eval(node)
    if '.' in str(value.get('type', '')):
        raise ValueError(f'type {value["type"]!r} is a path, not a registered name')
    return value
