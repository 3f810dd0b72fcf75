"""Any transform of torchvision's v2 as an atomic augmentation."""

from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2._transform import _RandomApplyTransform

from looc_mm.registry import AUGMENTATIONS

from .replay import PerImageAugmentation


@AUGMENTATIONS.register_module()
class FromTorchvision(PerImageAugmentation):
    """``dict(type='FromTorchvision', transform='RandomSolarize', threshold=0.5, p=0.5)``.

    ``make_params`` draws for each image, ``transform`` obeys. Transforms that do it all in ``forward`` (containers,
    AutoAugment, CutMix) or draw in ``transform`` (GaussianNoise) are refused, and so are those that need other than
    float images (JPEG) or give other than images of one size. A ``p`` that torchvision does not use as a coin for the
    whole transform (RandomPhotometricDistort's) is the transform's own setting.

    See :class:`ReplayedAugmentation` for the arguments, the parameters and the errors.
    """

    module = 'torchvision.transforms.v2'
    install = 'pip install torchvision'

    def _why_not(self, kind: type[Any]) -> str | None:
        if not issubclass(kind, v2.Transform):
            return 'it is no transform'
        if kind.forward not in (v2.Transform.forward, _RandomApplyTransform.forward):
            return (
                'it draws and transforms at once, in its forward, as containers and policies do; '
                'list the transforms that it is made of one by one'
            )
        return None

    def _is_coin(self, kind: type[Any]) -> bool:
        return issubclass(kind, _RandomApplyTransform)

    def _draw_one(self, size: tuple[int, int], picture: Tensor | None) -> dict[str, Any]:
        image = torch.zeros(()).expand(3, *size) if picture is None else picture
        return self.transform.make_params([image])

    def _obey_one(self, image: Tensor, drawn: dict[str, Any]) -> Tensor:
        return self.transform.transform(image.clone(), drawn)
