"""Experiment trackers that get the logged values beside the files of the work dir."""

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

from mmengine.config import Config

Tracker = Literal['tensorboard', 'wandb', 'mlflow']


def _tensorboard(folder: Path) -> dict[str, Any]:
    return dict(type='TensorboardVisBackend')


def _wandb(folder: Path) -> dict[str, Any]:
    return dict(type='WandbVisBackend', init_kwargs=dict(project='looc_mm', name=folder.name))


def _mlflow(folder: Path) -> dict[str, Any]:
    backend = dict(type='MLflowVisBackend', exp_name='looc_mm', run_name=folder.name)
    if uri := os.environ.get('MLFLOW_TRACKING_URI'):
        return dict(backend, tracking_uri=uri)
    # MLflow 3.7 and later refuse the folder of files that MMEngine would choose
    return dict(
        backend,
        tracking_uri=f'sqlite:///{folder}/mlflow.db',
        artifact_location=f'file://{folder}/mlflow',
        artifact_suffix=(),  # the files are in this folder already
    )


BACKENDS: Mapping[str, Callable[[Path], dict[str, Any]]] = dict(
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
        cfg.visualizer.vis_backends.append(BACKENDS[name](Path(cfg.work_dir).absolute()))
