"""The first losses of every method on Factors, which a refactoring must not change.

python -m tests.regression.losses  # writes losses.json

Each config trains as it is, but for a narrower network, a shorter queue, four images a step and two epochs of fifteen
steps. So the queue is filled and overwritten, and the learning rate rises in the first epoch and falls in the second.
"""

import tempfile
from collections import defaultdict

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from .reference import FOLDER, ROOT, write

CONFIGS = {path.stem.removesuffix('_factors'): path for path in sorted(ROOT.glob('configs/*/*_factors.py'))}
LOSSES = FOLDER / 'losses.json'
BATCH, STEPS = 4, 30


class Record(Hook):
    """Keeps what the model logs at every step."""

    def __init__(self) -> None:
        self.terms: dict[str, list[float]] = defaultdict(list)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        for name, value in outputs.items():
            # the shortest decimal that is this value and no other of its type
            self.terms[name].append(float(str(value.detach().numpy()[()])))


def first_losses(method: str) -> dict[str, list[float]]:
    """All terms that a method logs, at each of its first 30 steps."""
    cfg = Config.fromfile(CONFIGS[method])
    cfg.train_dataloader.update(batch_size=BATCH, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.dataset.length = BATCH * STEPS // 2
    cfg.train_cfg.max_epochs = 2
    cfg.default_hooks.checkpoint = None
    cfg.log_level = 'WARNING'
    cfg.model.backbone.base_channels = 8
    for part in (cfg.model.neck, cfg.model.head):
        if 'in_channels' in part:
            part.in_channels = 64
        if 'queue_len' in part:
            part.queue_len = 64
    record, threads = Record(), torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        cfg.work_dir = cfg.experiment_name = folder  # MMEngine shares state between runners of one name
        runner = Runner.from_cfg(cfg)
        runner.register_hook(record)
        torch.set_num_threads(1)
        try:
            runner.train()
        finally:
            torch.set_num_threads(threads)
    return dict(record.terms)


if __name__ == '__main__':
    write(LOSSES, losses={method: first_losses(method) for method in CONFIGS})
