"""What a training run shows while it goes well, and how it ends when it does not."""

import math
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook, RuntimeInfoHook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import Runner
from torch import Tensor
from tqdm import tqdm

from looc_mm.registry import HOOKS

from .console import make_readable

#: Values of each logged quantity that are kept; a line of the log is a mean over fewer.
KEPT = 1000

# StopOnNonFiniteLoss and ProgressBar read losses from the message hub, where the runtime info hook has put them as
# Python numbers: they cost no further wait for the device.


@HOOKS.register_module()
class DeferredRuntimeInfo(RuntimeInfoHook):
    """MMEngine's ``RuntimeInfoHook``, but a GPU's logged values are read when the next step has been launched.

    MMEngine reads them right after the step. So the host waits for the GPU in every iteration, and the GPU then waits
    until the host has fetched a batch, drawn its view table and launched the first kernels. Here the GPU always has
    the next step to do. The log shows the values of a step one iteration later; those that are missing at the end of an
    epoch or before a checkpoint are read there. Values on the CPU are logged at once.

    MMEngine keeps a million values of each quantity, copies them in every step and writes them to every checkpoint.
    Here the last ``KEPT`` are kept.
    """

    def __init__(self) -> None:
        self.pending: tuple[int, list[str], Tensor, torch.cuda.Event | None] | None = None  # on their way to the host

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Log the values of the step before, and send this step's to the host.

        Args:
            runner: The runner of the training process.
            batch_idx: Index of the batch in the loop.
            data_batch: The batch.
            outputs: What the model logs.
        """
        self._read(runner)
        for history in runner.message_hub.log_scalars.values():
            history.max_length = KEPT
        outputs = outputs or {}
        late = {name: value.detach().float().reshape(()) for name, value in outputs.items() if self._is_late(value)}
        at_once = {name: value for name, value in outputs.items() if name not in late}
        super().after_train_iter(runner, batch_idx, data_batch, at_once)
        if late:
            values = torch.stack(list(late.values()))
            copied = torch.cuda.Event() if values.is_cuda else None
            self.pending = (runner.iter, list(late), values.to('cpu', non_blocking=True), copied)
            if copied is not None:
                copied.record()

    def after_train_epoch(self, runner: Runner) -> None:
        """Log the values of the epoch's last step.

        Args:
            runner: The runner of the training process.
        """
        self._read(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Log what is missing, for the hooks that judge it.

        Args:
            runner: The runner of the training process.
            checkpoint: What is about to be written.
        """
        self._read(runner)

    @staticmethod
    def _is_late(value: Any) -> bool:
        return isinstance(value, Tensor) and value.is_cuda

    def _read(self, runner: Runner) -> None:
        if self.pending is None:
            return
        iteration, names, values, copied = self.pending
        self.pending = None
        if copied is not None:
            copied.synchronize()
        for name, value in zip(names, values.tolist(), strict=True):
            runner.message_hub.update_scalar(f'train/{name}', value)
        runner.message_hub.update_info('logged_iter', iteration, resumed=False)


@HOOKS.register_module()
class StopOnNonFiniteLoss(Hook):
    """Ends the run at the first loss that is NaN or infinite, before a checkpoint of it can be written."""

    priority = 'HIGH'

    def __init__(self) -> None:
        self.names: list[str] = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Checks the total loss that was logged last.

        Args:
            runner: The runner of the training process.
            batch_idx: Index of the batch in the loop.
            data_batch: The batch.
            outputs: What the model logs; ``loss`` is the total.

        Raises:
            FloatingPointError: If the total loss is not finite.
        """
        self.names = list(outputs or {})
        self._check(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Checks the loss of the last step.

        Args:
            runner: The runner of the training process.
            checkpoint: What is about to be written.

        Raises:
            FloatingPointError: If the total loss is not finite.
        """
        self._check(runner)

    def _check(self, runner: Runner) -> None:
        logged = runner.message_hub.log_scalars
        values = {name: logged[f'train/{name}'].current() for name in self.names if f'train/{name}' in logged}
        if math.isfinite(values.get('loss', 0.0)):
            return
        listed = ', '.join(f'{name}={value:.4g}' for name, value in values.items())
        iteration = runner.message_hub.get_info('logged_iter', runner.iter)
        raise FloatingPointError(
            f'the loss is not finite at iteration {iteration + 1}: {listed}. Try a lower learning rate '
            '(optim_wrapper.optimizer.lr), a higher temperature (model.head.temperature) or no --amp. '
            f'Checkpoints in {runner.work_dir} are from before; --resume would repeat the same step, so start a run '
            'from the weights of one: --cfg-options load_from=CHECKPOINT.'
        )


@HOOKS.register_module()
class ProgressBar(Hook):
    """A bar over the iterations of the whole training, with the current loss, on the main process.

    Args:
        disable: Whether to show no bar. Defaults to None: show it on a terminal only.
    """

    priority = 'LOWEST'

    def __init__(self, disable: bool | None = None) -> None:
        self.disable = disable

    def before_train(self, runner: Runner) -> None:
        """Opens the bar where the run starts or resumes.

        Args:
            runner: The runner of the training process.
        """
        self.bar = tqdm(
            total=runner.max_iters,
            initial=runner.iter,
            desc='train',
            unit='it',
            dynamic_ncols=True,
            disable=self.disable if is_main_process() else True,
        )
        make_readable(runner.logger)  # log lines go above the bar

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Moves the bar by one.

        Args:
            runner: The runner of the training process.
            batch_idx: Index of the batch in the loop.
            data_batch: The batch.
            outputs: What the model logs.
        """
        logged = runner.message_hub.log_scalars
        if not self.bar.disable and 'train/loss' in logged:
            self.bar.set_postfix(loss=f'{logged["train/loss"].current():.4f}', refresh=False)
        self.bar.update()

    def after_train(self, runner: Runner) -> None:
        """Closes the bar.

        Args:
            runner: The runner of the training process.
        """
        self.bar.close()
