"""Whether the spaces learn: their figures in the log, a word for each, and a warning before the run is over."""

import time
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.dist import broadcast
from mmengine.hooks import Hook, LoggerHook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from looc_mm.models.space_figures import COLLAPSED, LEARNING, NOT_YET, SpaceFigures, not_learnt, space_state
from looc_mm.registry import HOOKS

SECONDS = 15  # longest time between two readings, so that every line of TrainingLog has values
FIRST = 10  # steps after which the time of a step is known

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

    The logger gets ``pos_<space>``, ``P_<space>`` and so on, see :class:`looc_mm.models.space_figures.SpaceFigures`. A
    space that is not learning after a fifth of the run is named once in a warning, with a remedy, and again in the
    run's last line. Checkpoints hold the states as ``meta['spaces']``. Models without spaces are left alone.

    Args:
        interval: Iterations between two readings; None for those between two lines of the logger, and fewer where they
            take more than 15 seconds.

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
        self.since_logged, self.since_judged, self.since_line = Means(), Means(), Means()
        self.steps = self.judged = 0  # since the last reading, and since the last judgement
        self.pace = self.interval  # steps that fit in SECONDS, at most the interval
        self.clock: tuple[float, int] | None = None  # a time, and the steps that were done then
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
                self.interval = self.pace = hook.interval

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
        figures = figures_of(runner)
        if figures is None:
            return
        self.steps += 1
        self._measure_pace(runner)
        last = self.end_of_epoch(runner.train_dataloader, batch_idx) or runner.iter + 1 == runner.max_iters
        to_log = self.every_n_inner_iters(batch_idx, self.interval) or last
        if not (to_log or self.steps >= self.pace):
            return
        found = figures.read()
        for means in (self.since_logged, self.since_judged, self.since_line):
            means.add(found)
        for space, values in self.since_logged.take().items() if to_log else ():
            for figure, (mean, _) in values.items():
                runner.message_hub.update_scalar(f'train/{figure}_{space}', mean)
        self.judged += self.steps
        if 2 * self.judged >= self.pace or not self.latest:  # the end of an epoch can hold few steps
            self.latest, self.judged = self.since_judged.take(), 0
        self.steps = 0
        if runner.iter + 1 >= runner.max_iters / 5:
            self._warn(runner)

    def _measure_pace(self, runner: Runner) -> None:
        """Read more often where steps are slow; every process reads at the same step, for it adds up over them all."""
        done = runner.iter + 1
        if self.clock is None:
            self.clock = (time.monotonic(), done)
        elif self.follows_logger and done - self.clock[1] >= (FIRST if self.pace == self.interval else self.pace):
            step = (time.monotonic() - self.clock[0]) / (done - self.clock[1])
            pace = torch.tensor(min(self.interval, max(1, int(SECONDS / max(step, 1e-6)))))
            broadcast(pace)
            self.pace, self.clock = int(pace), (time.monotonic(), done)

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
        failed = not_learnt(self.states)
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


class Means:
    """Means over several readings of :class:`SpaceFigures`, until somebody takes them."""

    def __init__(self) -> None:
        self.sums: dict[str, dict[str, tuple[float, int]]] = {}  # by space and figure: the sum, the number of values

    def add(self, found: Mapping[str, Mapping[str, tuple[float, int]]]) -> None:
        """Take in {space: {figure: (mean, number of values)}}."""
        for space, figures in found.items():
            sums = self.sums.setdefault(space, {})
            for figure, (mean, number) in figures.items():
                total, earlier = sums.get(figure, (0.0, 0))
                sums[figure] = (total + mean * number, earlier + number)

    def take(self) -> dict[str, dict[str, tuple[float, int]]]:
        """Give {space: {figure: (mean, number of values)}} since the last time, and begin again."""
        sums, self.sums = self.sums, {}
        return {
            space: {figure: (total / number, number) for figure, (total, number) in figures.items()}
            for space, figures in sums.items()
        }


def figures_of(runner: Runner) -> SpaceFigures | None:
    """The figures that the runner's model collects; None if it has no spaces."""
    model: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return getattr(model, 'figures', None)
