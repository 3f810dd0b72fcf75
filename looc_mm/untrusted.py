"""What keeps a checkpoint of unknown origin from running code, and from filling the memory.

PyTorch's ``weights_only`` runs no code of the file. But a file of 2 kB can still ask it for any amount of memory: its
pickle may call ``bytearray(10**11)``, or rebuild a tensor larger than its storage, which PyTorch then enlarges.
"""

import io
import math
import pickletools
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

#: What a pickle of tensors and plain values calls. PyTorch allows more, such as ``bytearray`` and sparse tensors.
ALLOWED_CALLS = {
    *('collections.OrderedDict', 'collections.Counter', 'builtins.set', 'builtins.complex'),
    *('torch.Size', 'torch.device', 'torch.nn.parameter.Parameter'),
    *(f'torch._utils._rebuild_{name}' for name in ('tensor', 'tensor_v2', 'tensor_v3', 'parameter')),
    *(f'torch.storage.{name}' for name in ('UntypedStorage', 'TypedStorage')),
    *(str(value) for value in vars(torch).values() if isinstance(value, torch.dtype)),
    *(f'torch.{name}' for name in vars(torch) if name.endswith('Storage')),
}
LEGACY_PICKLES = 5  # in a file of PyTorch before 1.6, in front of the tensors' bytes
SHARED = 16  # how often the tensors of a file may show the same bytes
TENSOR = 2**12  # bytes that a tensor of a network counts at least, so that layers are not endless
SMALL = 2**26  # bytes that the tensors of a file may always have


def refused_calls(path: str | Path) -> list[str]:
    """The names in the pickle of a checkpoint that are not among ``ALLOWED_CALLS``; the pickle is read and not run.

    Args:
        path: A file of ``torch.save``.

    Raises:
        ValueError: The file is no zip of PyTorch and no pickle, or is damaged.
    """
    try:
        if not zipfile.is_zipfile(path):
            with open(path, 'rb') as file:
                return _refused(name for _ in range(LEGACY_PICKLES) for name in _names(file))
        with zipfile.ZipFile(path) as archive:
            entry = next(name for name in archive.namelist() if name.endswith('data.pkl'))
            return _refused(_names(io.BytesIO(archive.read(entry))))
    except (StopIteration, zipfile.BadZipFile, OverflowError, ValueError) as error:
        raise ValueError('it is no checkpoint of PyTorch, or damaged') from error


def _names(file: BinaryIO) -> Iterator[str]:
    """Of one pickle."""
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name in ('GLOBAL', 'INST'):
            yield str(argument).replace(' ', '.', 1).replace('__builtin__.', 'builtins.', 1)
        elif opcode.name == 'STACK_GLOBAL' or opcode.name.startswith('EXT'):
            yield opcode.name  # a name that only running shows; torch.save writes none


def _refused(names: Iterable[str]) -> list[str]:
    return sorted({*names} - ALLOWED_CALLS)


def check_sizes(content: Any, size: int) -> None:
    """Refuse tensors that are larger than the file that they came from.

    Args:
        content: Dicts, lists, tuples and sets of tensors and other values.
        size: Of the file, in bytes.

    Raises:
        ValueError: The tensors take more memory than the file, show the same bytes very often, or have no plain layout.
    """
    for value in tensors_in(content):
        if value.layout != torch.strided or value.is_meta or value.is_quantized:
            raise ValueError(f'it holds a tensor of the layout {value.layout} without plain numbers')
    stored, shown = tensor_bytes(content), sum(each.numel() * each.element_size() for each in tensors_in(content))
    if stored > size or shown > SHARED * size + SMALL:
        raise ValueError(f'its tensors have {max(stored, shown):,} bytes, and the file {size:,}')


def tensors_in(content: Any) -> Iterator[Tensor]:
    """The tensors in dicts, lists, tuples and sets; each container once, for a list may hold itself."""
    seen: set[int] = set()
    left = [content]
    while left:
        value = left.pop()
        if isinstance(value, dict | list | tuple | set) and id(value) not in seen:
            seen.add(id(value))
            left += [*value.keys(), *value.values()] if isinstance(value, dict) else value
        elif isinstance(value, Tensor):
            yield value


def tensor_bytes(content: Any) -> int:
    """Bytes of the storages of all tensors in dicts, lists, tuples and sets; a shared one counts once."""
    storages = [each.untyped_storage() for each in tensors_in(content)]
    return sum({each._cdata: each.nbytes() for each in storages}.values())


class LimitedMemory(TorchDispatchMode):
    """A block in which networks are built that have little more numbers than a checkpoint.

    Args:
        limit: Bytes that new tensors may have in all; the small tensors of drop path rates and the like count too.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self.limit, self.left = limit, limit

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Count what a call will allocate, and refuse it before it does.

        Raises:
            ValueError: The limit is reached.
        """
        name = func.name().removeprefix('aten::').split('.')[0]
        if name in (
            'empty',
            'zeros',
            'ones',
            'full',
            'rand',
            'randn',
            'new_empty',
            'new_zeros',
            'new_ones',
            'new_full',
        ):
            sizes = next((each for each in args if isinstance(each, list | tuple)), ())
            self.left -= 8 * math.prod(sizes) + TENSOR
        elif name in ('arange', 'linspace', 'eye', 'randperm', 'randint'):
            self.left -= 8 * math.prod(max(1, abs(int(each))) for each in args if isinstance(each, int | float))
        if self.left < 0:
            raise ValueError(f'its network would have more than {self.limit:,} bytes, far more than the weights')
        return func(*args, **(kwargs or {}))
