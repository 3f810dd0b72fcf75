"""A linear regression: the smallest thing that the runner trains. Batch: inputs (B, 3), targets (B, 1)."""

import os
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch import nn
from torch.utils.data import Dataset

from looc_mm.registry import DATASETS, HOOKS, MODELS


@DATASETS.register_module()
class ToyDataset(Dataset):
    """Appends the indices that are read to the file `reads`."""

    def __init__(self, length=16, reads=None):
        generator = torch.Generator().manual_seed(0)
        self.inputs = torch.randn(length, 3, generator=generator)
        self.reads = reads

    def __len__(self):
        return len(self.inputs)

    def __getitem__(self, index):
        if self.reads:
            with open(self.reads, 'a') as file:
                file.write(f'{index}\n')
        return dict(inputs=self.inputs[index], targets=self.inputs[index].sum(0, keepdim=True))


@MODELS.register_module()
class ToyModel(BaseModel):
    """Adds `poison` to the loss from the third iteration on."""

    def __init__(self, poison=0.0):
        super().__init__()
        self.linear = nn.Linear(3, 1)
        self.poison = poison
        self.seen = 0
        self.dtype = None

    def init_weights(self):
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, inputs, targets, mode='loss'):
        self.seen += 1
        prediction = self.linear(inputs)
        self.dtype = prediction.dtype
        loss = (prediction.float() - targets).square().mean()
        return dict(loss_fit=loss, loss_extra=loss * 0 + (self.poison if self.seen > 2 else 0.0))


@MODELS.register_module()
class ToyHeads(BaseModel):
    """A backbone with batch norm, and a head."""

    def __init__(self, freeze_backbone=False):
        super().__init__()
        torch.manual_seed(0)
        self.backbone = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8))
        self.head = nn.Linear(8, 1)
        self.freeze_backbone = freeze_backbone

    def train(self, mode=True):
        super().train(mode)
        if self.freeze_backbone:
            self.backbone.eval()
        return self

    def forward(self, inputs, targets, mode='loss'):
        return dict(loss=(self.head(self.backbone(inputs)) - targets).square().mean())


@HOOKS.register_module()
class DumpWeights(Hook):
    """Writes every rank's weights, and the data it saw, after training."""

    def __init__(self):
        self.inputs = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.inputs.append(data_batch['inputs'].clone())

    def after_train(self, runner):
        weights = getattr(runner.model, 'module', runner.model).state_dict()
        torch.save((dict(weights), torch.cat(self.inputs)), Path(runner.work_dir, f'rank_{runner.rank}.pth'))


@HOOKS.register_module()
class SignalItself(Hook):
    """Sends a signal to its own process in one iteration, on one rank; `rank` None is every rank."""

    def __init__(self, iteration, number=15, rank=None):
        self.iteration, self.number, self.rank = iteration, number, rank

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self.iteration and self.rank in (None, runner.rank):
            os.kill(os.getpid(), self.number)


@HOOKS.register_module()
class PoisonGradient(Hook):
    """Makes the gradient of the weight NaN in one iteration; the loss of that iteration is finite."""

    def __init__(self, iteration):
        self.iteration = iteration

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter + 1 == self.iteration:
            weight = getattr(runner.model, 'module', runner.model).linear.weight
            weight.register_hook(lambda gradient: gradient * float('nan'))
