"""The contract of an atomic augmentation: ``sample`` draws, ``apply`` obeys.

Shapes
    B  images in the batch        H, W  height and width in pixels
"""

import functools
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from looc_mm.registry import ANY_AUGMENTATION

Params = dict[str, Tensor]
#: (height, width) in pixels: one pair for the whole batch, or an int tensor (B, 2) with a pair per image.
ImageSize = Sequence[int] | Tensor

FUSED_DEVICES = {'cuda'}  # where fused functions are compiled
_compiled: dict[Callable[..., Tensor], Callable[..., Tensor]] = {}
_failures: list[str] = []  # of the compiler in this process; after the first one nothing is compiled


def fuses(images: Tensor) -> bool:
    """Whether a function under :func:`fused` is compiled for these images.

    It is on a CUDA device, unless the environment variable ``LOOC_MM_FUSED`` is 0 or a compilation has failed. Where
    the two ways to make a result differ, as for many small steps on a CPU and few passes over memory on a GPU, an
    augmentation asks this.
    """
    if torch.compiler.is_compiling() or images.device.type not in FUSED_DEVICES:
        return False
    return not _failures and os.environ.get('LOOC_MM_FUSED', '1') != '0'


def fused(batch: int = 0) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Decorate a pure function of images so that on a GPU torch.compile merges its steps into few kernels.

    Compiled once, at the first call, for every number of images; another height or width compiles again. Elsewhere,
    and for a single image, the function runs as it is. If the compiler fails, a warning says why, and this and every
    other fused function runs as it is from then on.

    Args:
        batch: The dimension of the images, in each tensor that has so many.

    Returns:
        The decorator, for functions of positional arguments, the images first.
    """

    def decorate(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @functools.wraps(function)
        def call(images: Tensor, *others: Any) -> Tensor:
            # The compiler takes a single image for a case of its own.
            if not fuses(images) or images.shape[batch] < 2 or images.requires_grad:
                return function(images, *others)
            if function not in _compiled:
                _compiled[function] = torch.compile(function, fullgraph=True)
            try:
                with torch.no_grad():
                    return _compiled[function](*(_any_number(each, batch) for each in (images, *others)))
            except Exception as error:  # the compiler's, of which there are many kinds
                out = function(images, *others)  # raises the error again if it is the function's
                _give_up(function.__name__, error)
                return out

        return call

    return decorate


def _any_number(value: Any, batch: int) -> Any:
    """The same tensor under another object, whose number of images the compiler takes for variable."""
    if not isinstance(value, Tensor) or value.ndim <= batch:
        return value
    value = value.view_as(value)
    torch._dynamo.maybe_mark_dynamic(value, batch)
    return value


def _give_up(name: str, error: Exception) -> None:
    lines = [line for line in str(error).splitlines() if line.strip() and not line.endswith('raised:')]
    reason = lines[0].strip() if lines else type(error).__name__
    _failures.append(reason)
    warnings.warn(
        f'torch.compile failed on {name}: {reason}. Views are now made without it, which takes several times as long '
        f'on a GPU. It needs Triton (pip install triton) and a C compiler (apt-get install gcc). LOOC_MM_FUSED=0 '
        f'chooses this without a warning.',
        RuntimeWarning,
        stacklevel=3,
    )


def send(tensor: Tensor, device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Bring a tensor of the CPU to a device without waiting for what the device still computes.

    CUDA copies more than 64 KB out of pageable memory only when the device has come there, whatever ``non_blocking``
    says. So the tensor goes through pinned memory.
    """
    if device.type == 'cuda' and tensor.device.type == 'cpu':
        tensor = tensor.to(dtype or tensor.dtype).pin_memory()
    return tensor.to(device, dtype or tensor.dtype, non_blocking=True)


class AtomicAugmentation(ABC):
    """One X_i of section 2: a random transformation whose every choice is a recorded parameter.

    To add an augmentation, subclass this, give it a ``name``, register it in
    :data:`looc_mm.registry.AUGMENTATIONS` and name it in a config's list. Its view, projection head,
    queue and logged figures follow from there.

    Attributes:
        name: The name of the augmentation and, if it owns one, of its embedding space.
        owns_space: Whether the augmentation gets an embedding space of its own. Crop, flip and blur don't. A config can
            set this and ``name`` for one instance, whatever arguments the class has: the registry does it, so a list
            can hold two instances of a class.
        all_channels: Whether :meth:`apply` takes images of any number of channels and changes all of them. Others get
            red, green and blue. None: unknown, so pictures that are not RGB need the answer from the config.
        classes: Number of classes of :meth:`relation`; 0 if it gives numbers.
    """

    name: str
    owns_space: bool = True
    all_channels: bool | None = False
    classes: int = 0

    @abstractmethod
    def sample(self, batch_size: int, generator: torch.Generator | None, image_size: ImageSize) -> Params:
        """Draw x_i ~ X_i for every image: all randomness is here, the coin flip too.

        Two draws with the same effect should have the same parameters (say, factor 1 where the coin says
        "leave the image alone"), because false negatives are found by comparing parameters.

        Args:
            batch_size: B, the number of images.
            generator: Source of every draw; None is torch's global one.
            image_size: Size of the images that :meth:`apply` gets, a pair or (B, 2).

        Returns:
            Tensors on the CPU, each with leading dimension B.
        """

    @abstractmethod
    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Transform images by given parameters; draws nothing and changes neither argument.

        Args:
            images: (B, 3, H, W) float RGB in [0, 1]; with ``all_channels`` any number of channels.
            params: What :meth:`sample` gave.

        Returns:
            (B, 3, H', W') float RGB in [0, 1]; with ``all_channels`` as many channels as it got.
        """

    def identity(self, batch_size: int) -> Params:
        """Parameters that leave images alone, for view strategies that leave an augmentation out of a view.

        Returns:
            Tensors like those of :meth:`sample`, equal to what it gives where the coin says "leave the image alone".

        Raises:
            NotImplementedError: If the augmentation does not define it.
        """
        raise NotImplementedError(
            f'{type(self).__name__} does not say which parameters leave an image alone: define its method identity().'
        )

    def vector(self, params: Params) -> Tensor:
        """The parameters as plain numbers, for methods that predict them or condition on them.

        Override it where a parameter is a category or an order, which are no quantities.

        Args:
            params: What :meth:`sample` gave.

        Returns:
            (B, P) float32.
        """
        return torch.cat([value.reshape(len(value), -1).float() for value in params.values()], 1)

    def relation(self, params: Params, other: Params) -> Tensor:
        """How one view's parameters differ from another's, for methods that predict it.

        Args:
            params: What :meth:`sample` gave for one view.
            other: The same for the other view.

        Returns:
            (B, P) float32 differences, in [-1, 1] if the numbers of :meth:`vector` span a range of 1; or, if
            ``classes`` is not 0, (B,) int64 in [0, classes).
        """
        return self.vector(params) - self.vector(other)

    def words(self, params: Params) -> list[str]:
        """What was done to each image, in a few words for a person: '90°', 'hue +0.10'.

        By default the name and the parameters of at most four numbers. Override it where that does not read well.

        Args:
            params: What :meth:`sample` gave.

        Returns:
            B texts, empty where the image was left alone.
        """
        count = len(next(iter(params.values())))
        try:
            neutral = self.identity(count)
        except NotImplementedError:  # then nobody knows
            neutral = {}
        texts = []
        for row in range(count):
            if neutral and all(torch.equal(value[row], neutral[key][row]) for key, value in params.items()):
                texts.append('')
                continue
            few = {key: value[row].flatten().tolist() for key, value in params.items() if value[row].numel() <= 4}
            shown = [f'{key} {" ".join(f"{each:.3g}" for each in values)}' for key, values in few.items()]
            texts.append(f'{self.name} {", ".join(shown)}'.strip())
        return texts

    def output_size(self, image_size: ImageSize) -> ImageSize:
        """Size of the images that leave :meth:`apply`, given the size of those that enter."""
        return image_size

    def __repr__(self) -> str:
        """Show the type and its settings; ``name`` and ``owns_space`` where they are not the class's."""
        settings = {key: value for key, value in vars(self).items() if key not in ANY_AUGMENTATION} | own_identity(self)
        return f'{type(self).__name__}({", ".join(f"{key}={value!r}" for key, value in settings.items())})'


def check_channels(augmentation: AtomicAugmentation, channels: int) -> None:
    """Refuse an augmentation that does not suit the channels of the pictures.

    Args:
        augmentation: The augmentation.
        channels: C.

    Raises:
        ValueError: It is for red, green and blue, and there are two channels, or it would resize three of many. Or
            nobody knows whether it is for all channels.
    """
    if channels == 3 or augmentation.all_channels:
        return
    if augmentation.all_channels is None:
        problem = 'does not know whether it changes the places of pixels, in all channels, or the colour'
        remedy = 'Set all_channels=True for places, or all_channels=False to give it red, green and blue.'
    elif channels == 2:
        problem = 'is for pictures with red, green and blue, or with one channel'
        remedy = 'Leave it out, or set all_channels=True if it takes every number of channels.'
    elif tuple(map(int, augmentation.output_size((64, 64)))) != (64, 64):
        problem = 'changes the size of red, green and blue alone'
        remedy = 'Set all_channels=True.'
    else:
        return
    raise ValueError(f'{augmentation} {problem}; the pictures have in_channels={channels}. {remedy}')


def apply_to_channels(augmentation: AtomicAugmentation, images: Tensor, params: Params) -> Tensor:
    """Transform images of any number of channels.

    Args:
        augmentation: With ``all_channels`` it gets all of them. Otherwise it gets the first three, and the others stay
            as they are; of pictures with one channel it gets this channel as red, green and blue, and the red of its
            result is kept.
        images: (B, C, H, W) float in [0, 1].
        params: What its ``sample`` gave.

    Returns:
        (B, C, H', W').

    Raises:
        ValueError: See :func:`check_channels`.
    """
    channels = images.shape[1]
    if channels == 3 or augmentation.all_channels:
        return augmentation.apply(images, params)
    check_channels(augmentation, channels)
    if channels == 1:
        return augmentation.apply(images.repeat(1, 3, 1, 1), params)[:, :1]
    return torch.cat([augmentation.apply(images[:, :3], params), images[:, 3:]], 1)


def own_identity(augmentation: AtomicAugmentation) -> dict[str, Any]:
    """``name`` and ``owns_space`` of an instance, where they differ from those of its class."""
    kind, own = type(augmentation), vars(augmentation)
    return {key: own[key] for key in ANY_AUGMENTATION if key in own and own[key] != getattr(kind, key, None)}


class GeometricAugmentation(AtomicAugmentation):
    """An augmentation that is a 3x3 matrix per image.

    Neighbours of this kind in a pipeline's list are fused: their matrices are multiplied and each view
    is interpolated once, however many there are.
    """

    all_channels = True

    @abstractmethod
    def matrix(self, params: Params) -> Tensor:
        """Where each output point comes from.

        Args:
            params: What :meth:`sample` gave.

        Returns:
            (B, 3, 3) float: takes homogeneous output coordinates to input coordinates, both in [-1, 1]
            from edge to edge, x to the right and y down. A last row other than (0, 0, 1) is a perspective.
        """

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Sample the images by :meth:`matrix`; see :meth:`AtomicAugmentation.apply`."""
        height, width = self.output_size(images.shape[-2:])
        return warp(images, self.matrix(params), (int(height), int(width)))


def warp(images: Tensor, matrix: Tensor, size: tuple[int, int]) -> Tensor:
    """Sample images bilinearly at the points that a matrix gives.

    Args:
        images: (B, C, H, W) float in [0, 1], or (V, B, C, H, W).
        matrix: (B, 3, 3) or (V, B, 3, 3), output to input coordinates in [-1, 1].
        size: (h, w) of the output in pixels.

    Returns:
        (B, C, h, w) or (V, B, C, h, w); beyond the border the edge pixel is repeated.
    """
    affine = bool((matrix[..., 2, :] == matrix.new_tensor([0, 0, 1])).all())
    theta = send(matrix[..., :2, :] if affine else matrix, images.device, images.dtype)
    return _sample(images, theta, size) if images.ndim == 4 else _sample_views(images, theta, size)


def _bilinear(images: Tensor, theta: Tensor, size: tuple[int, int]) -> Tensor:
    """(B, C, H, W) images at the points that (B, 2, 3) affine maps or (B, 3, 3) homographies give."""
    # The rows' part plus the columns': 40 times as fast on a CPU as F.affine_grid, which multiplies matrices.
    y, x = ((2 * torch.arange(side, device=images.device) + 1 - side) / side for side in size)
    columns = theta[:, None, :, 0] * x[:, None]  # B x w x 2, or 3
    rows = theta[:, None, :, 1] * y[:, None] + theta[:, None, :, 2]  # B x h x 2, or 3
    grid = rows[:, :, None] + columns[:, None]
    if theta.shape[1] == 3:
        grid = grid[..., :2] / grid[..., 2:]
    out = F.grid_sample(images, grid, mode='bilinear', padding_mode='border', align_corners=False)
    return out.clamp_(0, 1)  # weights may add up to a rounding error more than 1


_sample = fused()(_bilinear)


@fused(batch=1)
def _sample_views(images: Tensor, theta: Tensor, size: tuple[int, int]) -> Tensor:
    """The same for V views, (V, B, C, H, W); as compiled, views that share a canvas read the one copy."""
    return _bilinear(images.flatten(0, 1), theta.flatten(0, 1), size).unflatten(0, (len(images), -1))


def uniform(size: Sequence[int], bounds: Sequence[float], generator: torch.Generator | None) -> Tensor:
    """Independent draws from U(low, high) of the given shape, ``bounds`` being (low, high)."""
    low, high = bounds
    return torch.rand(*size, generator=generator) * (high - low) + low


def coin(batch_size: int, prob: float, generator: torch.Generator | None) -> Tensor:
    """(B,) bool, True with probability ``prob``."""
    return torch.rand(batch_size, generator=generator) < prob


def size_per_image(image_size: ImageSize, batch_size: int) -> Tensor:
    """(B, 2) int64 heights and widths from a pair or from a tensor that already is one row per image."""
    return torch.as_tensor(image_size).to('cpu', torch.int64).expand(batch_size, 2)


def check_probability(owner: object, prob: float) -> float:
    """Return ``prob``.

    Raises:
        ValueError: If it is not in [0, 1].
    """
    if not 0 <= prob <= 1:
        raise ValueError(f'{type(owner).__name__} got prob={prob}; a probability must be in [0, 1].')
    return prob
