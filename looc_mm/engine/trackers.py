"""Experiment trackers that get the logged values beside the files of the work dir."""

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from mmengine.config import Config

Tracker = Literal['tensorboard', 'wandb', 'mlflow']


def _tensorboard(name: str) -> dict[str, Any]:
    return dict(type='TensorboardVisBackend')


def _wandb(name: str) -> dict[str, Any]:
    return dict(type='WandbVisBackend', init_kwargs=dict(project='looc_mm', name=name))


def _mlflow(name: str) -> dict[str, Any]:
    uri = os.environ.get('MLFLOW_TRACKING_URI')
    return dict(type='MLflowVisBackend', exp_name='looc_mm', run_name=name, tracking_uri=uri)


BACKENDS: Mapping[str, Callable[[str], dict[str, Any]]] = dict(
    zip(get_args(Tracker), (_tensorboard, _wandb, _mlflow), strict=True)
)


def add_trackers(cfg: Config, names: Sequence[str]) -> None:
    """Have a training send its values to trackers too, under the name of the work dir.

    Args:
        cfg: With ``work_dir`` and a visualizer; changed in place.
        names: Among ``BACKENDS``.

    Raises:
        ValueError: No such tracker, or its package is not installed.
    """
    for name in dict.fromkeys(names):
        if name not in BACKENDS:
            raise ValueError(f'--log got {name!r}; allowed are {", ".join(BACKENDS)}.')
        if find_spec(name) is None:
            raise ValueError(
                f"--log {name} needs the package {name}, which is not installed: pip install 'looc_mm[{name}]'"
            )
        cfg.visualizer.vis_backends.append(BACKENDS[name](Path(cfg.work_dir).name))
