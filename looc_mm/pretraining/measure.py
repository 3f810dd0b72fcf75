"""Seconds of a training step, measured on steps that are thrown away."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner

from looc_mm.engine.launch import keep_freed_memory, spare_threads
from looc_mm.engine.prefetch import Prefetched
from looc_mm.machine import on_cpu
from looc_mm.registry import MODELS

STEPS = 20
FEWEST = 3
#: Seconds that they may take.
LIMIT = 30.0
#: Steps at the start that are left out: workers start, caches fill, a GPU compiles.
WARM_UP = 4
#: Steps on a batch that is loaded already.
READY_STEPS = 5


@dataclass(frozen=True)
class Speed:
    """Mean seconds of a step.

    Attributes:
        step: From pictures to new weights.
        ready: The same with a batch that is loaded already, while nothing is decoded.
    """

    step: float
    ready: float


def measure_speed(cfg: Config, limit: float = LIMIT) -> Speed:
    """Take some steps of a training: 20, or fewer (at least 3) where these take longer than the limit.

    Args:
        cfg: Of the training; not changed.
        limit: Seconds.
    """
    if on_cpu():
        keep_freed_memory()
    spare_threads()
    device = torch.device('cpu' if on_cpu() else 'cuda')
    with torch.random.fork_rng(), DefaultScope.overwrite_default_scope('looc_mm'):
        model = MODELS.build(cfg.model).to(device)
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
        batches = _endless(Prefetched(Runner.build_dataloader(cfg.train_dataloader, seed=0), device))
        times = [_now(device)]
        while len(times) <= STEPS and (len(times) <= FEWEST or times[-1] - times[0] < limit):
            batch = next(batches)
            model.train_step(batch, wrapper)
            times.append(_now(device))
        for _ in range(READY_STEPS):
            model.train_step(batch, wrapper)
        ready = (_now(device) - times[-1]) / READY_STEPS
    counted = times[min(WARM_UP, len(times) // 2) :]
    return Speed((counted[-1] - counted[0]) / (len(counted) - 1), ready)


def _endless(loader: Prefetched) -> Iterator[Any]:
    while True:
        yield from loader


def _now(device: torch.device) -> float:
    """Seconds, when the device has finished."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
    return time.perf_counter()
