"""The next batch travels to the device while the model works on this one."""

from collections.abc import Iterator
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import DataLoader

from looc_mm.registry import HOOKS

IMAGES = ('inputs', 'candidates')  # the entries of a batch that the device reads


class Prefetched:
    """A dataloader whose batches are one ahead, with their ``inputs`` and ``candidates`` on the device.

    On a GPU the copy has a stream of its own, so that from pinned memory (``pin_memory=True``) it runs beside the step.
    What else a batch holds stays where it is: the sizes of the originals are read by the host. Everything but
    iteration is the dataloader's own.

    Args:
        loader: Gives batches.
        device: Where these entries go, if ``inputs`` is one tensor.
    """

    def __init__(self, loader: DataLoader, device: torch.device) -> None:
        self.loader = loader
        self.device = device

    def __iter__(self) -> Iterator[Any]:
        """The loader's batches, in its order."""
        on_gpu = self.device.type == 'cuda'
        main = torch.cuda.current_stream(self.device) if on_gpu else None
        aside = torch.cuda.Stream(self.device) if on_gpu else None
        current = None
        for batch in self.loader:
            with torch.cuda.stream(aside):  # None: nothing changes
                following = self._to_device(batch, main)
            if current is not None:
                yield current
            if main is not None and aside is not None:
                main.wait_stream(aside)
            current = following
        if current is not None:
            yield current

    def _to_device(self, batch: Any, user: torch.cuda.Stream | None) -> Any:
        if not isinstance(batch, dict) or not isinstance(batch.get('inputs'), Tensor):
            return batch
        moved = {key: batch[key].to(self.device, non_blocking=True) for key in IMAGES if key in batch}
        if user is not None:
            for images in moved.values():
                images.record_stream(user)  # their memory is not given away before the model has read them
        return {**batch, **moved}

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self.loader)

    def __getattr__(self, name: str) -> Any:
        """Sampler, dataset, batch size and the like."""
        return getattr(self.__dict__['loader'], name)


@HOOKS.register_module()
class PrefetchBatches(Hook):
    """Has a training take its batches from :class:`Prefetched`."""

    def before_train(self, runner: Runner) -> None:
        """Wrap the dataloader, for the device that the model is on.

        Args:
            runner: The runner of the training process.
        """
        device = next(runner.model.parameters()).device
        loop = runner.train_loop
        loop.dataloader = Prefetched(loop.dataloader, device)
