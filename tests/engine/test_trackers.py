"""What the experiment trackers get, offline."""

import pytest
from mmengine.config import Config
from mmengine.runner import Runner

from looc_mm.engine import trackers
from looc_mm.engine.trackers import BACKENDS, add_trackers


def test_a_missing_package_is_named_with_its_remedy(toy_config, monkeypatch):
    monkeypatch.setattr(trackers, 'find_spec', lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'looc_mm\[wandb\]'"):
        add_trackers(Config.fromfile(toy_config), ['wandb'])
    with pytest.raises(ValueError, match='tensorboard, wandb, mlflow'):
        add_trackers(Config.fromfile(toy_config), ['visdom'])


def test_several_trackers_come_beside_the_files(toy_config, monkeypatch):
    monkeypatch.setattr(trackers, 'find_spec', lambda name: True)
    cfg = Config.fromfile(toy_config)
    add_trackers(cfg, [*BACKENDS, 'wandb'])
    kinds = [backend['type'] for backend in cfg.visualizer.vis_backends]
    assert kinds == ['LocalVisBackend', 'TensorboardVisBackend', 'WandbVisBackend', 'MLflowVisBackend']


@pytest.mark.parametrize('name', BACKENDS)
def test_a_tracker_gets_the_loss_of_every_step(name, toy_config, tmp_path, monkeypatch):
    package = pytest.importorskip(name)
    monkeypatch.setenv('WANDB_MODE', 'offline')
    monkeypatch.delenv('MLFLOW_TRACKING_URI', raising=False)
    cfg = Config.fromfile(toy_config)
    cfg.experiment_name = f'tracked_{name}'
    cfg.default_hooks.logger.interval = 1
    cfg.log_processor.window_size = 1
    add_trackers(cfg, [name])
    runner = Runner.from_cfg(cfg)
    runner.train()
    expected = runner.message_hub.get_scalar('train/loss').data[0].tolist()
    if name == 'tensorboard':
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(f'{runner.log_dir}/vis_data')
        events.Reload()
        found = [each.value for each in events.Scalars('loss')]
    elif name == 'mlflow':
        client = package.MlflowClient(f'sqlite:///{tmp_path}/work/mlflow.db')
        (run,) = client.search_runs([client.get_experiment_by_name('looc_mm').experiment_id])
        found = [each.value for each in client.get_metric_history(run.info.run_id, 'loss')]
    else:
        assert list((tmp_path / 'work').glob('*/vis_data/wandb/offline-run-*/*.wandb'))
        return
    assert found == pytest.approx(expected)
