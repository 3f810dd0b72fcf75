"""The contract of an atomic augmentation as a checker, for those who write one.

A test of a plug-in is one line: ``check_augmentation(Solarize())``.
"""

import torch
from torch import Tensor

from looc_mm.augmentations import AtomicAugmentation
from looc_mm.augmentations.contract import TOLERANCE, broken_rules, colourful

__all__ = ['TOLERANCE', 'ContractError', 'check_augmentation', 'colourful']


class ContractError(AssertionError):
    """An augmentation breaks rules of the contract; the message names each and what was got."""


def check_augmentation(
    augmentation: AtomicAugmentation,
    images: Tensor | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
) -> None:
    """Check that an augmentation keeps the contract of :class:`AtomicAugmentation`.

    Args:
        augmentation: With settings that do something: prob=0 draws nothing that could be checked.
        images: (B, 3, H, W) float32 RGB in [0, 1], B > 1; by default eight smooth colourful ones of 64 x 64.
        seed: Of the parameters that are drawn.
        device: Where the result must be as on the CPU; by default the CUDA device, if there is one.

    Raises:
        ContractError: If it breaks a rule; all the broken ones are listed.
    """
    if device is None and torch.cuda.is_available():
        device = 'cuda'
    if broken := broken_rules(augmentation, colourful() if images is None else images, seed, device):
        raise ContractError(f'{type(augmentation).__name__} breaks the contract:\n' + '\n'.join(broken))
