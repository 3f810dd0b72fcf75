"""Protocols during pretraining, on the real runner."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from looc_mm.evaluation import Monitor

REPO = Path(__file__).parents[2]


def train(tmp_path: Path, monitored: bool) -> Runner:
    cfg = Config.fromfile(REPO / 'configs/looc/looc_factors.py')
    cfg.merge_from_dict(
        {
            'work_dir': str(tmp_path / f'monitored_{monitored}'),
            'experiment_name': uuid4().hex,
            'log_level': 'ERROR',
            'train_cfg.max_epochs': 2,
            'train_dataloader.dataset.length': 16,
            'train_dataloader.batch_size': 8,
            'train_dataloader.num_workers': 0,
            'train_dataloader.persistent_workers': False,
            'model.data_preprocessor.pipeline.augmentations.0.size': 32,
            'model.neck.queue_len': 16,
        }
    )
    if monitored:
        evaluation = Config.fromfile(REPO / 'configs/linear_eval/factors.py')
        for loader in (evaluation.test_dataloader, evaluation.test_cfg.train_dataloader):
            loader.update(num_workers=0, batch_size=8)
            loader.dataset.update(length=24)
            loader.dataset.pipeline[0].size = 32
        evaluation.dump(tmp_path / 'evaluation.py')
        protocols = [dict(type='KNNProbe', label='color', k=3), dict(type='InvarianceMatrix', images=8)]
        hook = dict(type='Monitor', config=str(tmp_path / 'evaluation.py'), protocols=protocols, interval=1)
        cfg.custom_hooks = [hook]  # as the docstring has it: the runtime's own hooks stay
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


def test_it_writes_every_epoch_and_leaves_the_training_alone(tmp_path):
    plain, watched = train(tmp_path, False), train(tmp_path, True)
    for name, value in plain.model.state_dict().items():
        assert torch.equal(value, watched.model.state_dict()[name]), name
    assert watched.model.training
    ours = {'ProgressBar', 'StopOnNonFiniteLoss', 'PlainCheckpoint', 'PrefetchBatches', 'Monitor'}
    assert ours <= {type(hook).__name__ for hook in watched.hooks}
    torch.load(tmp_path / 'monitored_True/epoch_2.pth', weights_only=True)
    for epoch in (1, 2):
        folder = tmp_path / f'monitored_True/monitor/epoch_{epoch}'
        records = json.loads((folder / 'results.json').read_text())
        assert {record['protocol'] for record in records} == {'knn', 'invariance'}
        assert records[0]['checkpoint'] == f'epoch {epoch}' and records[0]['dataset'] == 'factors'
        assert (folder / 'invariance.png').stat().st_size > 5000
    last = watched.message_hub.get_scalar('monitor/knn/factors/color/top1').current()
    assert last == next(record['value'] for record in records if record['protocol'] == 'knn')


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match='interval=0'):
        Monitor(str(REPO / 'configs/linear_eval/factors.py'), interval=0)
    with pytest.raises(ValueError, match='evaluates nothing'):
        Monitor(str(REPO / 'configs/looc/looc_factors.py'))
