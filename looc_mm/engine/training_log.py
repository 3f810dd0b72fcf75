"""The lines of a training that a person reads: what is trained, then how it goes."""

import time
from typing import Any

from mmengine.dist import get_world_size, is_main_process
from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.runner import EpochBasedTrainLoop, Runner

from looc_mm.models.space_figures import space_state
from looc_mm.registry import HOOKS

from .console import make_readable
from .curves import FIGURES, Curves
from .settings import settings
from .watch_spaces import WatchSpaces, figures_of


@HOOKS.register_module()
class TrainingLog(Hook):
    """Logs the settings at the start, and a line after every epoch and at least every 30 seconds.

    A line has the step, the time left, the speed, the loss and, for every space, three values and a word, all of them
    means since the line before. The same values go to ``curves.csv`` and ``curves.png`` in the work dir, see
    :class:`looc_mm.engine.curves.Curves`. docs/training_log.md describes the line.

    Args:
        seconds: Longest time between two lines.

    Raises:
        ValueError: If ``seconds`` is not positive.
    """

    priority = 'LOW'  # after the values of the step are known, before checkpoints

    def __init__(self, seconds: float = 30) -> None:
        if seconds <= 0:
            raise ValueError(f'TrainingLog got seconds={seconds}; it is the time between two lines, above 0.')
        self.seconds = seconds

    def before_train(self, runner: Runner) -> None:
        """Log the settings, and open the curves.

        Args:
            runner: The runner of the training process.
        """
        self.first: tuple[float, int] | None = None  # when the first step was done, and how many were done then
        self.last = (0.0, runner.iter)  # the same of the last line
        self.logged = runner.iter  # steps whose loss a line had
        if not is_main_process():
            return
        make_readable(runner.logger)
        runner.logger.info(settings(runner))
        self.watch = next((hook for hook in runner.hooks if isinstance(hook, WatchSpaces)), None)
        figures = figures_of(runner) if self.watch else None
        self.curves = Curves(runner.work_dir, figures.spaces if figures else (), runner.iter)
        self.minutes = self.curves.minutes

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Log a line, if the last one was long ago.

        Args:
            runner: The runner of the training process.
            batch_idx: Index of the batch in the loop.
            data_batch: The batch.
            outputs: What the model logs.
        """
        if not is_main_process():
            return
        now, done = time.monotonic(), runner.iter + 1
        if self.first is None:  # the first step starts workers and compiles: it says nothing of the others
            self.first = self.last = (now, done)
        elif now - self.last[0] >= self.seconds and not self._ends_epoch(runner, batch_idx):
            self._log(runner, now, done)

    def after_train_epoch(self, runner: Runner) -> None:
        """Log a line.

        Args:
            runner: The runner of the training process.
        """
        if is_main_process() and self.first is not None and runner.iter > self.logged:
            self._log(runner, time.monotonic(), runner.iter)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Write the rows up to the checkpoint, from which the training may go on.

        Args:
            runner: The runner of the training process.
            checkpoint: What is about to be written.
        """
        if is_main_process():
            self.curves.write()

    def after_train(self, runner: Runner) -> None:
        """Draw the whole curves.

        Args:
            runner: The runner of the training process.
        """
        if is_main_process() and self.curves.rows:
            self.curves.write()
            self.curves.draw()
            runner.logger.info(f'The curves: {self.curves.png} and {self.curves.csv.name}.')

    def _ends_epoch(self, runner: Runner, batch_idx: int) -> bool:
        return runner.iter + 1 == runner.max_iters or (
            isinstance(runner.train_loop, EpochBasedTrainLoop) and self.end_of_epoch(runner.train_dataloader, batch_idx)
        )

    def _log(self, runner: Runner, now: float, done: int) -> None:
        assert self.first is not None
        scalars = runner.message_hub.log_scalars
        loss = scalars['train/loss'].mean(done - self.logged) if 'train/loss' in scalars else None
        images = images_of(runner, done) - images_of(runner, self.last[1])
        speed = images / (now - self.last[0]) if done > self.last[1] else None
        pace = (now - self.first[0]) / (done - self.first[1]) if done > self.first[1] else None
        spaces = self.watch.since_line.take() if self.watch else {}
        states = {space: space_state(values) for space, values in spaces.items()}
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        epoch = done / len(runner.train_dataloader)

        parts = [f'step {done}/{runner.max_iters}']
        if by_epoch:  # 3.0 epochs are done at the end of the third
            parts.insert(0, f'epoch {epoch:.3g}/{runner.max_epochs}')
        if pace is not None:
            parts.append(f'{duration(pace * (runner.max_iters - done))} left')
        if speed is not None:
            parts.append(f'{speed:.3g} images/s' if speed < 100 else f'{speed:.0f} images/s')
        if loss is not None:
            parts.append(f'loss {loss:.3f}')
        runner.logger.info('  '.join(parts) + spaces_text(spaces, states))

        row: dict[str, Any] = dict(
            step=done,
            epoch=epoch if by_epoch else None,
            minutes=self.minutes + (now - self.first[0]) / 60,
            images_per_second=speed,
            learning_rate=scalars['train/lr'].current() if 'train/lr' in scalars else None,
            loss=None if loss is None else float(loss),
        )
        for space, values in spaces.items():
            row.update({f'{figure}_{space}': values[figure][0] for figure in FIGURES if figure in values})
            row[f'state_{space}'] = states[space]
        self.curves.add(row)
        self.last, self.logged = (now, done), done


def images_of(runner: Runner, steps: int) -> int:
    """The images of the first steps over all processes; the last batch of an epoch may have fewer than the others."""
    loader = runner.train_dataloader
    batch, epochs, rest = loader.batch_size, 0, steps
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        epochs, rest = divmod(steps, len(loader))
    epoch = min(len(loader) * batch, len(loader.sampler))
    return get_world_size() * (epochs * epoch + rest * batch)


def spaces_text(spaces: dict[str, dict[str, tuple[float, int]]], states: dict[str, str | None]) -> str:
    """' | positive, P (chance 0.5), others: color 0.81 0.93 0.12 learning; ...'; '-' for a value that is not known."""
    if not spaces:
        return ''
    texts = []
    for space, values in spaces.items():
        numbers = [f'{values[figure][0]:.2f}' if figure in values else '-' for figure in FIGURES]
        texts.append(' '.join([space, *numbers, *([state] if (state := states[space]) else [])]))
    return ' | positive, P (chance 0.5), others: ' + '; '.join(texts)


def duration(seconds: float) -> str:
    """'40 s', '12 min', '3 h 20 min'."""
    if seconds < 60:
        return f'{seconds:.0f} s'
    minutes = round(seconds / 60)
    return f'{minutes} min' if minutes < 120 else f'{minutes // 60} h {minutes % 60} min'
