"""What all corruptions have in common: what they take, and the step from computed grey values to pixels."""

from collections.abc import Callable
from typing import Any

import numpy as np

SEVERITIES = (1, 2, 3, 4, 5)
HAIR = 1e-3  # of a grey level: rounding in float32 shall not cost a level where values are cut to integers


def truncate(values: np.ndarray) -> np.ndarray:
    """Grey values, 0 to 255, as uint8, their fractions cut off as in the published code."""
    return np.clip(values + HAIR, 0, 255).astype(np.uint8)


class Corruption:
    """A corruption at five severities: called as ``corruption(image, severity, rng)``.

    Args:
        function: Takes ``(image, rng, *constants, **options)``, the image as (H, W, 3) uint8 RGB, which it must not
            change, and returns (H, W, 3) in 0 to 255, not clipped.
        constants: Of each severity.
    """

    def __init__(self, function: Callable[..., np.ndarray], constants: tuple[tuple, ...]) -> None:
        assert len(constants) == len(SEVERITIES)
        self.function, self.constants = function, constants
        self.name = function.__name__
        self.__doc__ = function.__doc__

    def __call__(self, image: np.ndarray, severity: int, rng: np.random.Generator, **options: Any) -> np.ndarray:
        """Corrupt an image, a pure function of the arguments and the generator's state.

        Args:
            image: (H, W, 3) uint8 RGB, of any size; the constants are meant for 224 pixels.
            severity: 1 to 5.
            rng: Makes every random choice.
            **options: Of this corruption.

        Returns:
            (H, W, 3) uint8 RGB.

        Raises:
            ValueError: If image or severity is something else.
        """
        if severity not in SEVERITIES:
            raise ValueError(f'{self.name} got severity {severity!r}; 1 to 5 are allowed.')
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise ValueError(
                f'{self.name} got an image of shape {image.shape} and dtype {image.dtype}; (H, W, 3) uint8 RGB is '
                'allowed. cv2.cvtColor(image, cv2.COLOR_GRAY2RGB) makes that of a gray one.'
            )
        values = self.function(np.ascontiguousarray(image), rng, *self.constants[int(severity) - 1], **options)
        return values if values.dtype == np.uint8 else truncate(values)


def corruption(*constants: tuple) -> Callable[[Callable[..., np.ndarray]], Corruption]:
    """Make a :class:`Corruption` of a function, with a tuple of constants for each severity."""
    return lambda function: Corruption(function, constants)
