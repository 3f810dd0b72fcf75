"""The heads alone at first: what changes in which step, in MMEngine's own loop."""

import copy

import pytest
import torch
from mmengine.hooks import Hook

from looc_mm.engine import HeadsFirst

TASK = dict(
    model__type='ToyHeads',
    optim_wrapper__optimizer=dict(_delete_=True, type='AdamW', lr=0.1, weight_decay=0.1),
    optim_wrapper__paramwise_cfg=dict(custom_keys={'backbone.': dict(lr_mult=0.1)}),
    param_scheduler=[
        dict(type='LinearLR', start_factor=0.01, end=1, convert_to_iter_based=True),
        dict(type='CosineAnnealingLR', begin=1, convert_to_iter_based=True),
    ],
)


class Watch(Hook):
    """The weights and learning rates after each step."""

    priority = 'LOWEST'

    def __init__(self):
        self.states, self.rates = [], []

    def before_train(self, runner):
        self.states.append(copy.deepcopy(runner.model.state_dict()))

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.states.append(copy.deepcopy(runner.model.state_dict()))
        self.rates.append([group['lr'] for group in runner.optim_wrapper.param_groups])


def train(build_runner, steps=None, **options):
    hooks = [dict(type='HeadsFirst', steps=steps)] if steps else []
    runner, watch = build_runner(**{**TASK, 'custom_hooks': hooks, **options}), Watch()
    runner.register_hook(watch)
    runner.train()
    return watch


def changed(before, after):
    return {key.split('.')[0] for key in before if not torch.equal(before[key], after[key])}


def test_the_backbone_changes_after_the_first_steps(build_runner):
    """Weights and statistics of batch norm; the schedule of the learning rates is the same as without the hook."""
    watch = train(build_runner, 5)
    parts = [changed(*pair) for pair in zip(watch.states, watch.states[1:], strict=False)]
    assert parts == [{'head'}] * 5 + [{'head', 'backbone'}] * 7
    assert watch.rates == train(build_runner).rates and len(watch.rates) == 12


def test_a_resumed_run_is_the_whole_run(build_runner, tmp_path):
    """Resumed after step 4 of 5 with the heads alone."""
    whole = train(build_runner, 5)
    halfway = f'{tmp_path}/work/epoch_1.pth'
    resumed = train(build_runner, 5, resume=True, load_from=halfway, work_dir=f'{tmp_path}/resumed')
    assert len(resumed.states) == 9
    assert not changed(whole.states[-1], resumed.states[-1])


def test_refusals(build_runner):
    with pytest.raises(ValueError, match='steps=0; it is at least 1'):
        HeadsFirst(0)
    with pytest.raises(ValueError, match='freeze_backbone=True trains the heads alone for all steps'):
        train(build_runner, 5, model__freeze_backbone=True)
    with pytest.raises(ValueError, match=r'groups of their own. Set optim_wrapper.paramwise_cfg=dict\(custom_keys'):
        train(build_runner, 5, optim_wrapper__paramwise_cfg=None)
