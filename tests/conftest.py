"""Real pictures without files: photographs that come with scikit-learn's and matplotlib's packages."""

import os

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before torch: two threads on a busy small machine are slower

import signal
import sys
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_images

from looc_mm.augmentations import base
from looc_mm.registry import REGISTRIES


def pytest_configure(config: pytest.Config) -> None:
    """Have Ctrl-C its usual effect: pytest-xdist ignores it, and a program ignores what its parent ignores."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope='session')
def photographs() -> np.ndarray:
    """Two photographs, (2, 427, 640, 3) uint8 RGB."""
    return np.stack(load_sample_images().images)


@pytest.fixture(scope='session')
def images(photographs) -> torch.Tensor:
    """Eight square pieces of them, (8, 3, 224, 224) float in [0, 1]."""
    pieces = [
        photo[top : top + 224, left : left + 224] for photo in photographs for top in (0, 200) for left in (0, 400)
    ]
    return torch.from_numpy(np.stack(pieces)).permute(0, 3, 1, 2).contiguous().float().div(255)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def fused_on_cpu(monkeypatch):
    """Call it with a backend of torch.compile: fused functions then run on the CPU as they do on a GPU.

    'eager' traces a function and runs its steps one by one, 'inductor' generates code, which takes a minute.
    """

    def switch(backend: str) -> None:
        torch._dynamo.reset()
        monkeypatch.setattr(base, 'FUSED_DEVICES', {'cpu'})
        monkeypatch.setattr(torch, 'compile', partial(torch.compile, backend=backend))

    monkeypatch.setattr(base, '_compiled', {})
    monkeypatch.setattr(base, '_failures', [])
    return switch


@pytest.fixture
def restored_registries():
    """What a test registers or loads as a plug-in is gone behind it."""
    for registry in REGISTRIES.values():
        registry.import_from_location()
    before = {key: dict(registry.module_dict) for key, registry in REGISTRIES.items()}
    yield
    for key, registry in REGISTRIES.items():
        for name in set(registry.module_dict) - set(before[key]):
            sys.modules.pop(registry.module_dict.pop(name).__module__, None)
        registry.module_dict.update(before[key])
