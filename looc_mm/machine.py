"""The device, and the versions that numbers depend on."""

import os
import platform
from pathlib import Path

import torch

from looc_mm.stack import version
from looc_mm.version import __version__


def on_cpu() -> bool:
    """Whether models are trained on the CPU."""
    return not torch.cuda.is_available()


def device_name() -> str:
    """Name of the GPU, or else of the processor."""
    if not on_cpu():
        return torch.cuda.get_device_name()
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.machine()


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def memory() -> float:
    """Memory of the device that models are trained on, in GiB."""
    if not on_cpu():
        return torch.cuda.get_device_properties(0).total_memory / 2**30
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    packages = {name: version(name) for name in ('torch', 'mmengine', 'mmpretrain')}
    return {'looc_mm': __version__, **packages, 'Python': platform.python_version()}


def threads(jobs: int) -> int:
    """Threads of PyTorch in each of several processes side by side.

    The cores are divided among them, at least one for each. An ``OMP_NUM_THREADS`` below that is kept.
    """
    share = max(1, cores() // jobs)
    wanted = os.environ.get('OMP_NUM_THREADS', '')
    return min(share, int(wanted)) if wanted.isdecimal() and int(wanted) else share
