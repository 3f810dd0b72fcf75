"""What a training run shows while it goes well, and how it ends when it does not."""

import math
from contextlib import ExitStack

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import Runner
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from looc_mm.registry import HOOKS

# Both hooks read losses from the message hub, where MMEngine's RuntimeInfoHook has put them as Python numbers: they
# cost no further wait for the device.


@HOOKS.register_module()
class StopOnNonFiniteLoss(Hook):
    """Ends the run at the first loss that is NaN or infinite, before a checkpoint of it can be written."""

    priority = 'HIGH'

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Checks the total loss.

        Args:
            runner: The runner of the training process.
            batch_idx: Index of the batch in the loop.
            data_batch: The batch.
            outputs: What the model logs; ``loss`` is the total.

        Raises:
            FloatingPointError: If the total loss is not finite.
        """
        values = {name: runner.message_hub.get_scalar(f'train/{name}').current() for name in outputs or {}}
        if math.isfinite(values.get('loss', 0.0)):
            return
        listed = ', '.join(f'{name}={value:.4g}' for name, value in values.items())
        raise FloatingPointError(
            f'the loss is not finite at iteration {runner.iter + 1}: {listed}. Try a lower learning rate '
            '(optim_wrapper.optimizer.lr), a higher temperature (model.head.temperature) or no --amp. '
            f'Checkpoints in {runner.work_dir} are from before; --resume would repeat the same step, so start anew '
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
        self.redirection = ExitStack()
        if not self.bar.disable:
            self.redirection.enter_context(logging_redirect_tqdm([runner.logger]))  # log lines go above the bar

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
        if not self.bar.disable and 'loss' in (outputs or {}):
            loss = runner.message_hub.get_scalar('train/loss').current()
            self.bar.set_postfix(loss=f'{loss:.4f}', refresh=False)
        self.bar.update()

    def after_train(self, runner: Runner) -> None:
        """Closes the bar.

        Args:
            runner: The runner of the training process.
        """
        self.bar.close()
        self.redirection.close()
