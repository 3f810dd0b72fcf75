"""Mixed precision in bfloat16: one code path for CPU and GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from torch import nn

from looc_mm.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Runs the forward pass under ``torch.autocast`` in bfloat16, on whatever device the model is.

    bfloat16 has float32's exponent range, so gradients need no loss scaling. Takes the arguments of
    :class:`mmengine.optim.OptimWrapper`.
    """

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Gradient accumulation's context (MMEngine's) with autocast inside.

        Args:
            model: The model that is trained, wrapped for distributed training or not.
        """
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, dtype=torch.bfloat16):
            yield
