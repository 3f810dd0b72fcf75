from pathlib import Path
from uuid import uuid4

import pytest
from mmengine.config import Config

from looc_mm.engine import QuietRunner

REPO = Path(__file__).parents[2]


@pytest.fixture
def toy_config(tmp_path, monkeypatch):
    """Path of a config on the project's own runtime: 3 epochs of 4 iterations, a checkpoint per epoch."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    path = tmp_path / 'toy.py'
    path.write_text(f"""
_base_ = ['{REPO}/configs/_base_/default_runtime.py']
custom_imports = dict(imports=['toy_task'], allow_failed_imports=False)
model = dict(type='ToyModel')
train_dataloader = dict(
    batch_size=4, num_workers=0, dataset=dict(type='ToyDataset'),
    sampler=dict(type='DefaultSampler', shuffle=True), collate_fn=dict(type='default_collate'))
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1, momentum=0.9))
param_scheduler = [dict(type='MultiStepLR', by_epoch=True, milestones=[1, 2])]
train_cfg = dict(by_epoch=True, max_epochs=3)
default_hooks = dict(checkpoint=dict(interval=1))
work_dir = '{tmp_path}/work'
""")
    return path


@pytest.fixture
def build_runner(toy_config):
    """Builds a runner of the toy task, options as in --cfg-options."""

    def build(**options):
        cfg = Config.fromfile(toy_config)
        cfg.experiment_name = uuid4().hex  # MMEngine shares the message hub between runners of one name
        cfg.merge_from_dict({key.replace('__', '.'): value for key, value in options.items()})
        return QuietRunner.from_cfg(cfg)

    return build
