"""Checkpoints that hold plain values only, and that an interrupted run leaves whole."""

import logging
import os
import time
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.logging import HistoryBuffer, print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from looc_mm.checkpoint import check_training_start, weights_of
from looc_mm.files import atomic_write, last_checkpoint
from looc_mm.registry import HOOKS
from looc_mm.stop import TrainingStoppedError, requested
from looc_mm.untrusted import tensor_bytes
from looc_mm.whole import check_finite, damage_of, first_not_finite, newest_whole

from .agreement import Agreement
from .loops import accumulated

SAVE, STOP = 1, 2  # what a process asks for: a checkpoint, or a checkpoint and the end
_PLAIN_TYPES = (str, bool, int, float, complex, type(None), torch.Size, torch.dtype, torch.device)


class _NotPlainError(TypeError):
    """Raised for a value that ``torch.load(weights_only=True)`` would refuse."""


def _plain(value: Any) -> Any:
    """Copies a value with NumPy turned into Python and torch; entries of a dict that cannot be are left out.

    Raises:
        _NotPlainError: If the value is none of number, string, tensor, array or a container of those.
    """
    if isinstance(value, torch.Tensor) or type(value) in _PLAIN_TYPES:
        return value
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biufc':
        return torch.from_numpy(value.copy())
    if isinstance(value, dict):
        plain = {}
        for key, entry in value.items():
            try:
                plain[_plain(key)] = _plain(entry)
            except _NotPlainError:
                continue
        return type(value)(plain) if type(value) in (OrderedDict, Counter) else plain
    for container in (list, tuple, set):
        if isinstance(value, container):
            return container(_plain(entry) for entry in value)
    raise _NotPlainError(f'{type(value).__name__} is not plain')


@HOOKS.register_module()
class PlainCheckpoint(Hook):
    """Writes checkpoints that ``torch.load(weights_only=True)``, PyTorch's default, can read.

    MMEngine pickles its message hub's ``HistoryBuffer`` objects, so that its own files need the unsafe loader to
    resume. Here a buffer is stored as ``dict(values=Tensor (N,), counts=Tensor (N,))`` and made into a buffer again
    on loading; NumPy values become Python's and torch's, and what remains that is not plain is left out.
    """

    priority = 'LOWEST'  # the last word: other hooks (an EMA, say) add to the checkpoint too

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Makes the checkpoint plain, in place.

        Args:
            runner: The runner of the training process.
            checkpoint: What is about to be written.
        """
        scalars = checkpoint['message_hub']['log_scalars']
        for name, history in scalars.items():
            if isinstance(history, HistoryBuffer):  # else this hook is registered twice
                scalars[name] = dict(zip(('values', 'counts'), history.data, strict=True))
        # Weights are tensors already, and their dict carries version metadata.
        others = {key: checkpoint.pop(key) for key in list(checkpoint) if not key.endswith('state_dict')}
        checkpoint.update(_plain(others))

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Makes history buffers of the stored histories, in place; other files pass unchanged.

        Args:
            runner: The runner of the training process.
            checkpoint: What was read.
        """
        scalars = checkpoint.get('message_hub', {}).get('log_scalars', {})
        for name, history in scalars.items():
            if isinstance(history, dict):
                # A run resumes with its checkpoint on the GPU; a history's place is the CPU.
                scalars[name] = HistoryBuffer(history['values'].cpu().numpy(), history['counts'].cpu().numpy())


@HOOKS.register_module()
class SafeCheckpointHook(CheckpointHook):
    """A ``CheckpointHook`` whose folder always holds a whole checkpoint, whenever the run is cut off.

    A checkpoint gets its name when it is complete and on the disk (``atomic_write``); ``last_checkpoint`` names it only
    then, and only then are the oldest beyond ``max_keep_ckpts`` deleted. For local folders. MMEngine writes the files
    of ``save_best`` in its own way.

    Between the checkpoints of the interval, in the middle of an epoch, there is at most one more, ``iter_N.pth``. It is
    written when the last checkpoint is ``minutes`` old, and when the training is asked to stop
    (:func:`looc_mm.stop.catch_signals`); the next checkpoint replaces it.

    A file that a training starts from (``load_from``, ``--resume``) has to fit the model. A run that is resumed without
    the name of a file goes on from the newest one in its own work dir; if that is damaged, from the newest whole one.

    Args:
        minutes: The longest time without a checkpoint; None for no limit.
        **kwargs: Those of :class:`mmengine.hooks.CheckpointHook`.

    Raises:
        ValueError: ``minutes`` is not positive.
    """

    def __init__(self, *, minutes: float | None = 30, **kwargs: Any) -> None:
        if minutes is not None and minutes <= 0:
            raise ValueError(
                f'SafeCheckpointHook got minutes={minutes}; it is a positive number, or None for no limit.'
            )
        super().__init__(**kwargs)
        self.minutes = minutes
        self.wish = 0

    def before_run(self, runner: Runner) -> None:
        """Finds the checkpoint that a resumed training starts from, in a work dir that may have been moved or copied.

        Args:
            runner: The runner of the training process.

        Raises:
            FileNotFoundError: The work dir names a last checkpoint, and it is in another folder.
        """
        if runner._resume and runner._load_from is None:
            runner._load_from = self._newest(runner)

    @staticmethod
    def _newest(runner: Runner) -> str | None:
        folder = Path(runner.work_dir)
        found = last_checkpoint(folder)
        if found is None and (pointer := folder / 'last_checkpoint').exists():
            raise FileNotFoundError(
                f'{folder} holds no checkpoint. The last one of its training was {pointer.read_text().strip()}. Put '
                f'the file into this folder, or give its path: --resume PATH.'
            )
        if found is None:
            runner.logger.info(f'{folder} holds no checkpoint to resume: the training begins at step 0.')
            return None
        if (damage := damage_of(found)) and (whole := newest_whole(found)):
            print_log(
                f'{found} is damaged: {damage}. The training goes on from {whole}, the newest whole checkpoint.',
                'current',
                logging.WARNING,
            )
            return str(whole)
        return str(found)

    def before_train(self, runner: Runner) -> None:
        """Looks for the best checkpoint in its own folder: a copied run names that of the original, and replaces it.

        Args:
            runner: The runner of the training process.
        """
        super().before_train(runner)
        self.agreement = Agreement()
        self.saved, self.clock = runner.iter, time.monotonic()

        def own(path: str | None) -> str | None:
            return path and os.path.join(str(self.out_dir), os.path.basename(path))

        if path := getattr(self, 'best_ckpt_path', None):
            self.best_ckpt_path = own(path)
        if paths := getattr(self, 'best_ckpt_path_dict', None):
            self.best_ckpt_path_dict = {key: own(path) for key, path in paths.items()}

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Saves a checkpoint if the interval or the time is over, or if the training is asked to stop.

        Gradients that wait for a later step of the optimizer are in no checkpoint, so it waits for that step.

        Args:
            runner: The runner of the training process.
            batch_idx: Index of the batch in the loop.
            data_batch: The batch.
            outputs: What the model logs.

        Raises:
            TrainingStoppedError: The training was asked to stop, and the checkpoint is written.
        """
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        late = self.minutes is not None and is_main_process() and time.monotonic() - self.clock > 60 * self.minutes
        self.wish = max(self.wish, self.agreement.exchange(STOP if requested() else SAVE if late else 0))
        done = runner.iter + 1
        if not self.wish or done == runner.max_iters or done % accumulated(runner):
            return
        name = f'iter_{done}.pth'
        if self.saved != done:
            self._write(runner, name, dict(epoch=runner.epoch, iter=done), between=True)
        if self.wish == STOP:
            self.agreement.wait()
            raise TrainingStoppedError(
                f'The training stopped after iteration {done} of {runner.max_iters}, and {self.last_ckpt} was written. '
                f'Continue with --resume.'
            )
        self.wish = 0

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuses a file that does not fit the model or the data or holds NaN, and logs what matched.

        Args:
            runner: The runner of the training process.
            checkpoint: What was read.

        Raises:
            ValueError: The file lacks the backbone's weights, or in a resumed run a part of the model, or its weights
                are NaN or infinite, or the epochs of a resumed run had another length.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        path, weights = runner._load_from or runner.work_dir, weights_of(checkpoint)
        check_finite(weights, path)
        matched = check_training_start(model, weights, path, bool(runner._resume))
        runner.logger.info(f'{path}: {matched}.')
        then, now = checkpoint.get('meta', {}).get('iterations_per_epoch'), len(runner.train_dataloader)
        if runner._resume and then not in (None, now):
            raise ValueError(
                f'{path} is of a training with {then} iterations an epoch, and now an epoch has {now}: the pictures, '
                f'the batch size or the number of processes changed. Resume with the same, or start a new training '
                f'from the weights: --cfg-options load_from={path}.'
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Notes the length of an epoch; ends the training before weights are written that are NaN or infinite.

        Args:
            runner: The runner of the training process.
            checkpoint: What is about to be written.

        Raises:
            FloatingPointError: A weight or buffer of the model, or of its average, is not finite.
        """
        checkpoint['meta']['iterations_per_epoch'] = len(runner.train_dataloader)
        self.bytes = tensor_bytes(checkpoint)
        states = [value for key, value in checkpoint.items() if key.endswith('state_dict')]
        name = next(filter(None, map(first_not_finite, states)), None)
        if name is None:
            return
        logged = runner.message_hub.log_scalars.items()
        rates = [f'{history.current():.4g}' for key, history in logged if key.rpartition('/')[2].split('.')[-1] == 'lr']
        last = last_checkpoint(Path(runner.work_dir))
        remedy = 'Train again with a lower learning rate (optim_wrapper.optimizer.lr) or no --amp'
        if last is not None:
            remedy += f', also from the last good checkpoint: --cfg-options load_from={last}'
        raise FloatingPointError(
            f'the weights are NaN or infinite after iteration {checkpoint["meta"]["iter"]}, the first in {name}; '
            f'learning rate {", ".join(rates)}. No checkpoint of them was written; the last good one is '
            f'{last or "none"}. {remedy}.'
        )

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        name = self.filename_tmpl.format(step)
        outdated = []
        if self.max_keep_ckpts > 0:
            steps = [kept for kept in self.keep_ckpt_ids if kept != step] + [step]
            outdated = steps[: -self.max_keep_ckpts]
            self.keep_ckpt_ids.clear()
            self.keep_ckpt_ids.extend(steps[-self.max_keep_ckpts :])
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))

        self._write(runner, name, meta)
        for kept in outdated if is_main_process() else ():
            Path(self.out_dir, self.filename_tmpl.format(kept)).unlink(missing_ok=True)

    def _write(self, runner: Runner, name: str, meta: dict, between: bool = False) -> None:
        """Write a checkpoint, and delete the one between those of the interval."""
        hub = runner.message_hub
        before = hub.runtime_info.get('between_ckpt')
        hub.update_info('between_ckpt', name if between else None)
        self.saved, self.clock = meta['iter'], time.monotonic()
        self.last_ckpt = os.path.join(self.out_dir, name)
        hub.update_info('last_ckpt', self.last_ckpt)
        if not is_main_process():
            return
        with atomic_write(self.last_ckpt, single_writer=True, sync=True, needs=lambda: self.bytes) as part:
            runner.save_checkpoint(
                self.out_dir,
                part.name,
                save_optimizer=self.save_optimizer,
                save_param_scheduler=self.save_param_scheduler,
                meta=meta,
                by_epoch=self.by_epoch,
                **self.args,
            )
        with atomic_write(Path(runner.work_dir, 'last_checkpoint'), single_writer=True, sync=True) as part:
            part.write_text(self.last_ckpt)
        if before not in (None, name):
            Path(self.out_dir, before).unlink(missing_ok=True)
