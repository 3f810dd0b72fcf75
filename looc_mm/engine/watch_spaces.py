"""Whether the spaces learn: their figures in the log, a word for each, and a warning before the run is over."""

from typing import Any

from mmengine.hooks import Hook, LoggerHook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from looc_mm.models.space_figures import COLLAPSED, LEARNING, NOT_YET, SpaceFigures, space_state
from looc_mm.registry import HOOKS

REMEDIES = {
    COLLAPSED: 'Its embeddings are the same for all images. Lower the learning rate (optim_wrapper.optimizer.lr), or '
    'check that the pictures differ.',
    NOT_YET: 'It does not yet distinguish its augmentation (P is chance at 0.5). Train longer, use easier crops '
    '(RandomResizedCrop scale=(0.4, 1.0)), change more images (prob=0.75), or set '
    'model.head.mask_false_negatives=True.',
}


@HOOKS.register_module()
class WatchSpaces(Hook):
    """Logs the figures of every space as means over the interval, and says whether each space learns.

    The log gets ``pos_<space>``, ``P_<space>`` and so on, see :class:`looc_mm.models.space_figures.SpaceFigures`. A
    space that is not learning after a fifth of the run is named once in a warning, with a remedy, and again in the
    run's last line. Checkpoints hold the states as ``meta['spaces']``. Models without spaces are left alone.

    Args:
        interval: Iterations between two readings; None for those between two lines of the logger.

    Raises:
        ValueError: If the interval is not positive.
    """

    priority = 'NORMAL'  # before the logger writes the figures, and before checkpoints

    def __init__(self, interval: int | None = None) -> None:
        if interval is not None and interval < 1:
            raise ValueError(f'WatchSpaces got interval={interval}; it is a number of iterations, at least 1.')
        self.interval = interval or 50
        self.follows_logger = interval is None
        self.latest: dict[str, dict[str, tuple[float, int]]] = {}
        self.steps = 0  # since the last reading
        self.warned: set[str] = set()

    @property
    def states(self) -> dict[str, str]:
        """A word for every space of which one is known."""
        found = {space: space_state(figures) for space, figures in self.latest.items()}
        return {space: state for space, state in found.items() if state}

    def before_train(self, runner: Runner) -> None:
        """Take over the logger's interval.

        Args:
            runner: The runner of the training process.
        """
        for hook in runner.hooks if self.follows_logger else ():
            if isinstance(hook, LoggerHook):
                self.interval = hook.interval

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Read the figures, if it is time.

        Args:
            runner: The runner of the training process.
            batch_idx: Index of the batch in the loop.
            data_batch: The batch.
            outputs: What the model logs.
        """
        figures = _figures_of(runner)
        if figures is None:
            return
        self.steps += 1
        last = self.end_of_epoch(runner.train_dataloader, batch_idx) or runner.iter + 1 == runner.max_iters
        if not (self.every_n_inner_iters(batch_idx, self.interval) or last):
            return
        found = figures.read()
        for space, values in found.items():
            for figure, (mean, _) in values.items():
                runner.message_hub.update_scalar(f'train/{figure}_{space}', mean)
        if 2 * self.steps >= self.interval or not self.latest:  # the end of an epoch can hold few steps
            self.latest = found
        self.steps = 0
        if runner.iter + 1 >= runner.max_iters / 5:
            self._warn(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note the states.

        Args:
            runner: The runner of the training process.
            checkpoint: What is about to be written.
        """
        if self.states:
            checkpoint.setdefault('meta', {})['spaces'] = self.states

    def after_train(self, runner: Runner) -> None:
        """Say how it ended.

        Args:
            runner: The runner of the training process.
        """
        if not self.states:
            return
        listed = ', '.join(f'{space} {state}' for space, state in self.states.items())
        failed = [space for space, state in self.states.items() if state != LEARNING]
        if failed:
            runner.logger.warning(f'The spaces at the end: {listed}. Nothing was learnt in {", ".join(failed)}.')
        else:
            runner.logger.info(f'The spaces at the end: {listed}.')

    def _warn(self, runner: Runner) -> None:
        share = 100 * (runner.iter + 1) / runner.max_iters
        for space, state in self.states.items():
            if state == LEARNING or space in self.warned:
                continue
            self.warned.add(space)
            values = ', '.join(f'{figure} {mean:.2f}' for figure, (mean, _) in self.latest[space].items())
            runner.logger.warning(
                f'After {share:.0f} % of the training the space {space!r} is {state!r} ({values}). {REMEDIES[state]}'
            )


def _figures_of(runner: Runner) -> SpaceFigures | None:
    model: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return getattr(model, 'figures', None)
