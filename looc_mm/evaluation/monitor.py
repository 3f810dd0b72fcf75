"""Protocols during pretraining."""

import copy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from looc_mm.checkpoint import config_name
from looc_mm.config_check.check import check_config
from looc_mm.configs import find_config
from looc_mm.multichannel import share_channels
from looc_mm.registry import HOOKS

from .loop import FrozenFeatureLoop
from .run import run_protocols, table


@HOOKS.register_module()
class Monitor(Hook):
    """Run protocols on the model as it is, every few epochs and after the last, without a trace in the training.

    Figures go to the log and the visualizer, records and pictures to ``<work_dir>/monitor/epoch_<n>/``. An evaluation
    config's loaders are what it takes::

        custom_hooks = [dict(type='Monitor', interval=10, config='linear_eval/imagenette',
                             protocols=[dict(type='KNNProbe'), dict(type='InvarianceMatrix')])]

    Args:
        config: Path or name of an evaluation config, for its loaders and the dataset's name.
        protocols: Configs of protocols; by default the config's own.
        interval: Epochs between two looks.

    Raises:
        ValueError: If the interval is not positive, or the config does not exist or evaluates nothing.
    """

    priority = 95  # after the checkpoint is written (90): a protocol that raises does not cost it

    def __init__(self, config: str, protocols: list[dict] | None = None, interval: int = 10) -> None:
        if interval < 1:
            raise ValueError(f'Monitor got interval={interval}; it is a number of epochs, at least 1.')
        self.config = Config.fromfile(find_config(config))
        if 'test_cfg' not in self.config or 'test_dataloader' not in self.config:
            raise ValueError(f'Monitor got {config}, which evaluates nothing: give one of configs/linear_eval.')
        check_config(self.config)
        self.protocols = protocols
        self.interval = interval

    def before_train(self, runner: Runner) -> None:
        """Build datasets and protocols, so that a wrong one ends the run before it starts."""
        share_channels(dict(model=runner.cfg.get('model'), test=self.config))
        cfg: dict[str, Any] = copy.deepcopy(self.config.test_cfg.to_dict())
        cfg.pop('type')
        if self.protocols is not None:
            cfg['protocols'] = self.protocols
        with torch.random.fork_rng():
            self.loop = FrozenFeatureLoop(runner, self.config.test_dataloader.to_dict(), **cfg)

    def after_train_epoch(self, runner: Runner) -> None:
        """Look, if it is time."""
        if not (self.every_n_epochs(runner, self.interval) or self.is_last_train_epoch(runner)):
            return
        epoch = runner.epoch + 1
        source, folder = self.loop.source, Path(runner.work_dir, 'monitor', f'epoch_{epoch}')
        source.forget()
        with torch.random.fork_rng():
            name = config_name(runner.experiment_name)
            metrics = run_protocols(source, self.loop.protocols, folder, f'epoch {epoch}', name)
        runner.logger.info(table(source, metrics, f'epoch {epoch}'))
        runner.visualizer.add_scalars(metrics, step=epoch)
        runner.message_hub.update_scalars({f'monitor/{name}': value for name, value in metrics.items()})
