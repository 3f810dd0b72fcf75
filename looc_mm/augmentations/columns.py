"""What another library drew for each image, as tensors with a leading dimension, and back.

Shapes
    N  images        L  leaves of a tree of parameters that are numbers
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .base import Params

GIVEN = 'given'
NUMBERS = (bool, int, float, np.bool_, np.integer, np.floating)
ARRAYS = (Tensor, np.ndarray)


class Refusal(ValueError):
    """Why a transform cannot be replayed."""


class Columns:
    """Dicts of one structure as one tensor per leaf, exactly: numbers keep their type, arrays their dtype.

    A leaf is a number, an array, or a list or tuple of numbers; None is allowed too. Leaves that are no numbers
    (a mode's name, say) cannot become tensors: they have to be the same in all of the dicts, and are kept aside.

    Args:
        trees: Dicts to learn the structure from.

    Raises:
        Refusal: If the structure, or a leaf that is no number, changes from one to the other.
    """

    def __init__(self, trees: Sequence[dict]) -> None:
        self._tree = trees[0]
        flat = [dict(_leaves(tree)) for tree in trees]
        self._paths = list(flat[0])
        self._models: dict[str, Any] = {}  # of the leaves that are numbers: one of them, to restore the type from
        self._constants: dict[str, Any] = {}
        for each in flat:
            self._expect(each.keys() == flat[0].keys(), 'its parameters are not the same ones every time')
        for path in self._paths:
            values = [each[path] for each in flat if each[path] is not None]
            if values and all(_is_numeric(value) for value in values):
                shape = {np.shape(value) for value in values}
                self._expect(
                    len(shape) == 1,
                    f'its parameter {path!r} has a shape that is drawn; fix it by a setting, if there is one',
                )
                # 0 and 0.5 are of one kind: the one that holds both
                self._models[path] = max(values, key=lambda value: np.asarray(value).dtype.num)
            else:
                self._constants[path] = flat[0][path]
                for each in flat:
                    self._check_constant(path, each[path])

    def encode(self, trees: Sequence[dict]) -> Params:
        """Tensors from N dicts.

        Returns:
            One tensor (N, ...) per leaf of numbers, 0 where it is None, and ``given`` (N, L) bool, where it is not.

        Raises:
            Refusal: If a dict is not of the structure that was learnt.
        """
        flat = [dict(_leaves(tree)) for tree in trees]
        for each in flat:
            self._expect(list(each) == self._paths, 'its parameters are not the same ones every time')
            for path in self._constants:
                self._check_constant(path, each[path])
        columns = {}
        for path, model in self._models.items():
            values = [each[path] for each in flat]
            for value in values:
                self._expect(value is None or _is_numeric(value), f'its parameter {path!r} is {value!r} at times')
            first = next((value for value in values if value is not None), model)
            blank = np.zeros(np.shape(first), _dtype(model))
            filled = [blank if value is None else np.asarray(value) for value in values]
            self._expect(
                len({each.shape for each in filled}) == 1,
                f'its parameter {path!r} has a shape that is drawn; fix it by a setting, if there is one',
            )
            columns[path] = torch.from_numpy(np.stack(filled).astype(_dtype(model)))
        if columns:
            columns[GIVEN] = torch.tensor([[each[path] is not None for path in self._models] for each in flat])
        return columns

    def decode(self, columns: Params, rows: int, device: torch.device) -> list[dict]:
        """The dicts of :meth:`encode`.

        Args:
            columns: Tensors of it.
            rows: N.
            device: Where tensors among the leaves shall be.
        """
        given = columns[GIVEN].tolist() if self._models else [()] * rows
        restored = {path: _restore(columns[path], model, device) for path, model in self._models.items()}
        trees = []
        for row in range(rows):
            values = {
                path: restored[path][row] if known else None
                for path, known in zip(self._models, given[row], strict=True)
            }
            trees.append(_fill(self._tree, {**self._constants, **values}))
        return trees

    def _check_constant(self, path: str, value: Any) -> None:
        constant = self._constants[path]
        same = type(constant) is type(value) and bool(constant == value)
        self._expect(same, f'its parameter {path!r} is no number, and {constant!r} or {value!r}')

    @staticmethod
    def _expect(condition: bool, otherwise: str) -> None:
        if not condition:
            raise Refusal(otherwise)


def _is_numeric(value: Any) -> bool:
    if isinstance(value, ARRAYS):
        return isinstance(value, Tensor) or value.dtype.kind in 'bif' or value.dtype == np.uint8
    if isinstance(value, list | tuple):
        kinds = {np.asarray(each).dtype.kind if isinstance(each, NUMBERS) else None for each in value}
        return len(kinds) == 1 and None not in kinds
    return isinstance(value, NUMBERS)


def _leaves(tree: Any, path: str = '') -> Iterator[tuple[str, Any]]:
    """Paths and values: 'angle', or 'points.0' for the first of a list that is no leaf."""
    if isinstance(tree, dict) or (isinstance(tree, list | tuple) and not _is_numeric(tree)):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _leaves(value, f'{path}.{key}' if path else str(key))
    else:
        yield path, tree


def _fill(tree: Any, values: dict[str, Any], path: str = '') -> Any:
    """The same tree with other leaves."""
    if path in values:
        return values[path]
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    filled = {key: _fill(value, values, f'{path}.{key}' if path else str(key)) for key, value in items}
    return filled if isinstance(tree, dict) else type(tree)(filled.values())


def _dtype(model: Any) -> np.dtype:
    return np.asarray(model).dtype


def _restore(column: Tensor, model: Any, device: torch.device) -> Sequence[Any]:
    """N leaves of the model's type; arrays are copies, so that nobody can change the parameters."""
    if isinstance(model, Tensor):
        return list(column.to(device, copy=True))
    if isinstance(model, np.ndarray):
        return list(column.numpy().copy())
    return [type(model)(each) for each in column.tolist()]
