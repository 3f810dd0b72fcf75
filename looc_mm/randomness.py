"""Draws that a resumed run repeats: generators seeded from (seed, rank, iteration), with nothing stored."""

import numpy as np
import torch
from mmengine.logging import MessageHub


def step_generator(*stream: int) -> torch.Generator:
    """A CPU generator for this training iteration.

    Seed and iteration are the running Runner's. Outside a Runner the generator is seeded by torch's
    global one, so that successive calls differ and ``torch.manual_seed`` repeats them. (A Runner that has ended
    leaves its last iteration current in its process.)

    Args:
        *stream: Numbers that distinguish this use from others, say the rank where processes shall differ.

    Returns:
        A new generator; equal arguments in the same iteration of equally seeded runs give equal draws.
    """
    hub = MessageHub.get_current_instance()
    iteration = hub.get_info('iter')
    if iteration is None:
        return torch.Generator().manual_seed(int(torch.randint(2**62, ())))
    return seeded(int(hub.get_info('seed', 0)), int(iteration), *stream)


def seeded(*entropy: int) -> torch.Generator:
    """A CPU generator that depends on some non-negative numbers, each of which counts."""
    state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))
