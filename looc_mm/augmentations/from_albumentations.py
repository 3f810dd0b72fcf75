"""Any of albumentations' transforms of an image alone as an atomic augmentation."""

import inspect
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from looc_mm.registry import AUGMENTATIONS

from .columns import Refusal
from .replay import PerImageAugmentation


@AUGMENTATIONS.register_module()
class FromAlbumentations(PerImageAugmentation):
    """``dict(type='FromAlbumentations', transform='RandomToneCurve', scale=0.2, p=0.5)``.

    Each image is a float32 array (H, W, 3) on the CPU for as long as its transform takes. Refused are containers, what
    needs the image's content, masks, boxes or other images to draw (FDA, MaskDropout), what draws while it is applied,
    and what draws a varying number of things (CoarseDropout, unless the number is fixed).

    See :class:`ReplayedAugmentation` for the arguments, the parameters and the errors.
    """

    module = 'albumentations'
    install = (
        'pip install --no-deps albumentations==2.0.8 albucore==0.0.24, then pip install pydantic simsimd stringzilla '
        '(with its dependencies it would bring a second OpenCV)'
    )

    def _find(self, transform: str) -> type[Any]:
        os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')  # else importing it asks the network for a newer one
        return super()._find(transform)

    def _why_not(self, kind: type[Any]) -> str | None:
        from albumentations import BasicTransform, DualTransform, ImageOnlyTransform

        if not issubclass(kind, BasicTransform):
            return 'it is no transform of an image, as containers are not; list the transforms that it holds one by one'
        if kind in (BasicTransform, DualTransform, ImageOnlyTransform) or inspect.isabstract(kind):
            return 'it is a base class'
        return None

    def _learn(self) -> list[tuple[int, int]]:
        if needs := sorted(set(self.transform.targets_as_params) - {'image'}):
            raise Refusal(f'it needs {needs} beside the image to draw')
        return super()._learn()

    @contextmanager
    def _seeded(self, seed: int) -> Iterator[None]:
        self.transform.set_random_state(np.random.default_rng(seed), random.Random(seed))
        with super()._seeded(seed):
            yield

    def _state(self) -> Any:
        own = self.transform.random_generator.bit_generator.state, self.transform.py_random.getstate()
        return super()._state(), own

    def _settings(self, image: np.ndarray) -> dict[str, Any]:
        """What albumentations hands on beside the draws: the image's shape, the interpolation, the fill."""
        return self.transform.update_transform_params(params={}, data={'image': image})

    def _draw_one(self, size: tuple[int, int], picture: Tensor | None) -> dict[str, Any]:
        image = np.zeros((*size, 3), np.float32) if picture is None else _to_array(picture)
        settings = self._settings(image)
        params = {**self.transform.get_params(), **settings}
        params = {**params, **self.transform.get_params_dependent_on_data(params=params, data={'image': image})}
        return {key: value for key, value in params.items() if key not in settings}

    def _obey_one(self, image: Tensor, drawn: dict[str, Any]) -> Tensor:
        array = _to_array(image)
        params = {**self._settings(array), **drawn}
        out = self.transform.apply_with_params(params, image=array)['image']
        return torch.from_numpy(np.ascontiguousarray(out)).permute(2, 0, 1).to(image.device)


def _to_array(image: Tensor) -> np.ndarray:
    """A copy (H, W, 3) of an image (3, H, W)."""
    return image.detach().cpu().permute(1, 2, 0).contiguous().numpy()
