"""MMEngine's training loops, which a checkpoint from the middle of an epoch resumes at its place in the data."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from mmengine.dataset import InfiniteSampler
from mmengine.runner import EpochBasedTrainLoop as EpochLoop
from mmengine.runner import IterBasedTrainLoop as IterLoop
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader, Sampler

from looc_mm.registry import LOOPS


@LOOPS.register_module()
class EpochBasedTrainLoop(EpochLoop):
    """MMEngine's loop over epochs, of which the first may begin after some batches.

    MMEngine starts an epoch again that a checkpoint is from, and so trains on some pictures twice. It carries gradients
    over to the next epoch if ``accumulative_counts`` does not divide the batches of an epoch, and no checkpoint has
    them; here the optimizer drops them, so that a resumed training drops them too.
    """

    def run_epoch(self) -> None:
        """Train on what is left of an epoch.

        Raises:
            ValueError: The checkpoint is between two steps of the optimizer.
        """
        first = self._iter - self._epoch * len(self.dataloader)
        self.runner.call_hook('before_train_epoch')
        self.runner.model.train()
        leave_out(self.runner, first)
        for index, batch in enumerate(self.dataloader, first):
            self.run_iter(index, batch)
        if self._iter % accumulated(self.runner) and self._iter < self._max_iters:
            self.runner.optim_wrapper.zero_grad()
        self.runner.call_hook('after_train_epoch')
        self._epoch += 1


@LOOPS.register_module()
class IterBasedTrainLoop(IterLoop):
    """MMEngine's loop over iterations, which finds its place in the data without loading the pictures before it.

    MMEngine loads them all. The data is passed over as often as the iterations need; pass n is shuffled as epoch n is.

    Args:
        runner: The runner of the training process.
        dataloader: A dataloader, or the config of one.
        **kwargs: The other arguments of :class:`mmengine.runner.IterBasedTrainLoop`.
    """

    def __init__(self, runner: Runner, dataloader: DataLoader | dict, **kwargs: Any) -> None:
        is_config = isinstance(dataloader, dict)
        loader: Any = runner.build_dataloader(dataloader, seed=runner.seed) if is_config else dataloader
        super().__init__(runner, _Lazy(loader), **kwargs)

    def run(self) -> nn.Module:
        """Train; returns the model.

        Raises:
            ValueError: The checkpoint is between two steps of the optimizer.
        """
        self.runner.call_hook('before_train')
        self.runner.call_hook('before_train_epoch')
        self.dataloader_iterator = self._batches()
        while self._iter < self._max_iters and not self.stop_training:
            self.runner.model.train()
            self.run_iter(next(self.dataloader_iterator))
            self._decide_current_val_interval()
            is_time = self._iter % self.val_interval == 0 or self._iter == self._max_iters
            if self.runner.val_loop is not None and self._iter >= self.val_begin and is_time:
                self.runner.val_loop.run()
        self.runner.call_hook('after_train_epoch')
        self.runner.call_hook('after_train')
        return self.runner.model

    def _batches(self) -> Iterator[Any]:
        """The batches from the current iteration on, without end."""
        sampler = self.dataloader.sampler
        done, first = divmod(self._iter, len(self.dataloader))
        if isinstance(sampler, InfiniteSampler):
            done, first = 0, self._iter
        while True:
            if hasattr(sampler, 'set_epoch'):
                sampler.set_epoch(done)
            leave_out(self.runner, first)
            yield from self.dataloader
            done, first = done + 1, 0


def accumulated(runner: Runner) -> int:
    """Batches of a step of the optimizer (``optim_wrapper.accumulative_counts``)."""
    return getattr(runner.optim_wrapper, '_accumulative_counts', 1)


def leave_out(runner: Runner, batches: int) -> None:
    """Have the next pass over the training data begin after some batches, which are not loaded; later passes have all.

    Args:
        runner: The runner, whose dataloader gets another sampler.
        batches: How many to leave out.

    Raises:
        ValueError: The checkpoint is between two steps of the optimizer.
    """
    if not batches:
        return
    done, counts, sampler = runner.iter, accumulated(runner), runner.train_dataloader.batch_sampler
    if done % counts:
        raise ValueError(
            f'The checkpoint is of iteration {done}, and the optimizer steps after every {counts} of them '
            f'(optim_wrapper.accumulative_counts): the gradients since its last step are not in the file. Resume from '
            f'a checkpoint of a multiple of {counts}.'
        )
    sampler.sampler = _Rest(sampler.sampler, batches * sampler.batch_size)


class _Rest(Sampler):
    """A sampler that leaves out its first samples, once.

    Args:
        sampler: Gives all samples.
        samples: How many to leave out.
    """

    def __init__(self, sampler: Any, samples: int) -> None:
        self.sampler, self.samples = sampler, samples

    def __iter__(self) -> Iterator[Any]:
        """The rest of the samples the first time, all of them later."""
        samples, self.samples = self.samples, 0
        return islice(iter(self.sampler), samples, None)

    def __len__(self) -> int:
        """All samples: the length of an epoch is that of a whole one."""
        return len(self.sampler)


class _Lazy:
    """A dataloader that starts its workers when the first batch is asked for, and not in ``iter``.

    MMEngine's loop calls ``iter`` before the checkpoint is read that has the place to begin at.
    """

    def __init__(self, loader: DataLoader) -> None:
        self.loader = loader

    def __iter__(self) -> Iterator[Any]:
        """The loader's batches."""
        yield from self.loader

    def __len__(self) -> int:
        """Batches of a pass."""
        return len(self.loader)

    def __getattr__(self, name: str) -> Any:
        """Sampler, dataset, batch size and the like."""
        return getattr(self.__dict__['loader'], name)
