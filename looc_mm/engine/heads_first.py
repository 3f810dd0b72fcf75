"""The warm-up of the heads on a pretrained backbone."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.hooks.hook import DATA_BATCH
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from looc_mm.registry import HOOKS


@HOOKS.register_module()
class HeadsFirst(Hook):
    """Trains the heads alone at first, so that gradients through random heads do not change a pretrained backbone.

    The backbone has the learning rate 0, and its batch norm keeps its statistics. The backbone's weights must be in
    parameter groups of their own: ``optim_wrapper.paramwise_cfg`` makes such groups. The first steps cost as much time
    as later steps.

    Args:
        steps: How many, from the beginning of the training.

    Raises:
        ValueError: The number is not positive; later, if the heads are trained alone in any case, or if a group has
            weights of the backbone and of the heads.
    """

    def __init__(self, steps: int) -> None:
        if steps < 1:
            raise ValueError(f'HeadsFirst got steps={steps}; it is at least 1. Or leave the hook out.')
        self.steps = steps
        self.groups: list[dict[str, Any]] = []  # parameter groups of the backbone
        self.rates: list[float] = []  # of the groups, while it is 0

    def before_train(self, runner: Runner) -> None:
        """Find the groups of the backbone.

        Args:
            runner: The runner of the training process.
        """
        model = self._model(runner)
        if model.freeze_backbone:
            raise ValueError('model.freeze_backbone=True trains the heads alone for all steps: leave HeadsFirst out.')
        backbone = set(map(id, model.backbone.parameters()))
        self.groups = []
        for group in runner.optim_wrapper.param_groups:
            inside = [id(each) in backbone for each in group['params']]
            if any(inside) and not all(inside):
                raise ValueError(
                    'HeadsFirst needs the weights of the backbone in parameter groups of their own. Set '
                    "optim_wrapper.paramwise_cfg=dict(custom_keys={'backbone.': dict(lr_mult=0.1)})."
                )
            if any(inside):
                self.groups.append(group)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None) -> None:
        """Set the learning rate of the backbone to 0 for this step.

        Args:
            runner: The runner of the training process.
            batch_idx: Index of the batch in the loop.
            data_batch: The batch.
        """
        model, first = self._model(runner), runner.iter < self.steps
        if model.freeze_backbone != first:
            model.freeze_backbone = first
            model.train()
        if first:
            self.rates = [group['lr'] for group in self.groups]
            for group in self.groups:
                group['lr'] = 0.0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: DATA_BATCH = None, outputs: dict | None = None
    ) -> None:
        """Put the learning rate back, for the schedule to go on from it.

        Args:
            runner: The runner of the training process.
            batch_idx: Index of the batch in the loop.
            data_batch: The batch.
            outputs: What the model logs.
        """
        for group, rate in zip(self.groups, self.rates, strict=False):
            group['lr'] = rate
        self.rates = []

    @staticmethod
    def _model(runner: Runner) -> Any:
        return runner.model.module if is_model_wrapper(runner.model) else runner.model
