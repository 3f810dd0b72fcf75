"""What the device can do at best: a bfloat16 matrix product, and a copy in its memory."""

from statistics import median

import torch
from common import DEVICE, seconds

from .job import Job


def run(job: Job) -> None:
    """Keep ``tflops``, of a product of two random matrices, and ``tb_per_s``, bytes read and written by a copy."""
    side, numbers = (512, 2**20) if job.dry else (8192, 2**31)
    left, right = (torch.randn(side, side, device=DEVICE).bfloat16() for _ in range(2))
    source = torch.empty(numbers, dtype=torch.uint8, device=DEVICE)
    target = torch.empty_like(source)
    product = _fastest(lambda: left @ right, job.dry)
    copy = _fastest(lambda: target.copy_(source), job.dry)
    job.keep(tflops=2 * side**3 / product / 1e12, tb_per_s=2 * numbers / copy / 1e12)


def _fastest(work, dry: bool, repeats: int = 20) -> float:
    """Seconds of one call: the median of a few runs of several calls each, after a warm-up."""

    def several() -> None:
        for _ in range(repeats):
            work()

    several()
    return median(seconds(several) for _ in range(1 if dry else 5)) / repeats
