"""Checkpoints that hold plain values only, and that an interrupted run leaves whole."""

import os
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook, Hook
from mmengine.logging import HistoryBuffer
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from looc_mm.checkpoint import check_training_start, weights_of
from looc_mm.files import atomic_write, last_checkpoint
from looc_mm.registry import HOOKS
from looc_mm.untrusted import tensor_bytes
from looc_mm.whole import check_finite, check_whole, first_not_finite

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
    then, and only then are the oldest beyond ``max_keep_ckpts`` deleted. For local folders. Arguments are those
    of :class:`mmengine.hooks.CheckpointHook`; its ``save_best`` files are written MMEngine's way.

    A file that a training starts from (``load_from``, ``--resume``) has to fit the model. A run that is resumed without
    the name of a file goes on from the newest one in its own work dir.
    """

    def before_run(self, runner: Runner) -> None:
        """Finds the checkpoint that the training starts from, and makes sure that the file is not damaged.

        The work dir of a run that is resumed may have been moved or copied.

        Args:
            runner: The runner of the training process.

        Raises:
            FileNotFoundError: The work dir names a last checkpoint, and it is in another folder.
            ValueError: The file is damaged.
        """
        if runner._resume and runner._load_from is None:
            runner._load_from = self._newest(runner)
        path = runner._load_from
        if path is not None and '://' not in path and Path(path).expanduser().is_file():
            check_whole(path)

    @staticmethod
    def _newest(runner: Runner) -> str | None:
        folder = Path(runner.work_dir)
        found = last_checkpoint(folder)
        if found is None and (pointer := folder / 'last_checkpoint').exists():
            raise FileNotFoundError(
                f'{folder} holds no checkpoint. The last one of its training was {pointer.read_text().strip()}. Put '
                f'the file into this folder, or give its path: --resume PATH.'
            )
        return None if found is None else str(found)

    def before_train(self, runner: Runner) -> None:
        """Looks for the best checkpoint in its own folder: a copied run names that of the original, and replaces it.

        Args:
            runner: The runner of the training process.
        """
        super().before_train(runner)

        def own(path: str | None) -> str | None:
            return path and os.path.join(str(self.out_dir), os.path.basename(path))

        if path := getattr(self, 'best_ckpt_path', None):
            self.best_ckpt_path = own(path)
        if paths := getattr(self, 'best_ckpt_path_dict', None):
            self.best_ckpt_path_dict = {key: own(path) for key, path in paths.items()}

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuses a file that does not fit the model or holds NaN, and logs what matched.

        Args:
            runner: The runner of the training process.
            checkpoint: What was read.

        Raises:
            ValueError: The file lacks the backbone's weights, or in a resumed run a part of the model, or its weights
                are NaN or infinite.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        path, weights = runner._load_from or runner.work_dir, weights_of(checkpoint)
        check_finite(weights, path)
        matched = check_training_start(model, weights, path, bool(runner._resume))
        runner.logger.info(f'{path}: {matched}.')

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Ends the training before weights are written that are NaN or infinite.

        Args:
            runner: The runner of the training process.
            checkpoint: What is about to be written.

        Raises:
            FloatingPointError: A weight or buffer of the model, or of its average, is not finite.
        """
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
        self.last_ckpt = os.path.join(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', self.last_ckpt)
        outdated = []
        if self.max_keep_ckpts > 0:
            steps = [kept for kept in self.keep_ckpt_ids if kept != step] + [step]
            outdated = steps[: -self.max_keep_ckpts]
            self.keep_ckpt_ids.clear()
            self.keep_ckpt_ids.extend(steps[-self.max_keep_ckpts :])
            runner.message_hub.update_info('keep_ckpt_ids', list(self.keep_ckpt_ids))

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
        for kept in outdated:
            Path(self.out_dir, self.filename_tmpl.format(kept)).unlink(missing_ok=True)
