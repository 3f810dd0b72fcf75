"""Shuffled batch norm: keys are encoded in other company than their queries (MoCo, section 3.3).

Batch norm leaks which images are in one batch, and a network can cheat on that. So the key images of all
processes change places before the key encoder and the embeddings change back after it. Each process sends
only the B images it holds, by one all-to-all. In one process every image stays in its batch, and the shuffle serves the
groups of split batch norm.

Shapes
    N  processes        B  images of this process        ...  anything
"""

import torch
from mmengine.dist import get_rank, get_world_size
from torch import Tensor

from looc_mm.randomness import step_generator

STREAM = 1 << 20  # apart from the ranks, which are the streams of the views


class Shuffle:
    """One random permutation of the N * B images of all processes, the same on each of them.

    Args:
        batch_size: B, equal on all processes.
        generator: Equally seeded on all processes; left out, this iteration's.
    """

    def __init__(self, batch_size: int, generator: torch.Generator | None = None) -> None:
        rank, world = get_rank(), get_world_size()
        generator = generator or step_generator(STREAM)
        source = torch.randperm(world * batch_size, generator=generator)  # [place] = image that goes there
        place = source.argsort()  # [image] = where it goes
        own = slice(rank * batch_size, (rank + 1) * batch_size)
        self.outgoing = place[own].argsort()  # own images by target place, so by target process
        self.arriving = (source[own] // batch_size).argsort(stable=True)  # places by the process they come from
        self.sent = torch.bincount(place[own] // batch_size, minlength=world).tolist()
        self.received = torch.bincount(source[own] // batch_size, minlength=world).tolist()

    def shuffle(self, images: Tensor) -> Tensor:
        """Hand (B, ...) images out; returns the (B, ...) that come in, in the permutation's order."""
        arrived = _exchange(images[self.outgoing.to(images.device, non_blocking=True)], self.sent, self.received)
        return arrived[self.arriving.argsort().to(images.device, non_blocking=True)]

    def restore(self, shuffled: Tensor) -> Tensor:
        """Undo :meth:`shuffle` for what was computed from its result, (B, ...)."""
        returned = _exchange(shuffled[self.arriving.to(shuffled.device, non_blocking=True)], self.received, self.sent)
        return returned[self.outgoing.argsort().to(shuffled.device, non_blocking=True)]


def _exchange(outgoing: Tensor, sent: list[int], received: list[int]) -> Tensor:
    """All-to-all: ``sent[r]`` rows go to process r, ``received[r]`` come from it."""
    if get_world_size() == 1:
        return outgoing
    incoming = outgoing.new_empty(sum(received), *outgoing.shape[1:])
    torch.distributed.all_to_all_single(incoming, outgoing.contiguous(), received, sent)
    return incoming
