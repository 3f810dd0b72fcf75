"""Processes that decide something at different times do it in the same iteration."""

from typing import Any

import torch
from mmengine.dist import get_world_size


class Agreement:
    """The largest number that any process asks for, one iteration later, at the same iteration in all of them.

    The processes exchange it on the CPU while they work on the next iteration, so nothing waits for a GPU. A single
    process gets its own number at once.
    """

    def __init__(self) -> None:
        self.group: Any = torch.distributed.new_group(backend='gloo') if get_world_size() > 1 else None
        self.pending: tuple[torch.Tensor, Any] | None = None  # and the exchange, which may still run

    def exchange(self, wish: int) -> int:
        """Ask for a number, and get the largest of those that were asked for in the iteration before.

        Args:
            wish: What this process asks for, 0 for nothing.
        """
        if self.group is None:
            return wish
        agreed = self._take()
        wishes = torch.tensor([wish])
        work = torch.distributed.all_reduce(wishes, torch.distributed.ReduceOp.MAX, self.group, async_op=True)
        self.pending = (wishes, work)
        return agreed

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.group is not None:
            self._take()
            torch.distributed.barrier(self.group)

    def _take(self) -> int:
        if self.pending is None:
            return 0
        wishes, work = self.pending
        self.pending = None
        work.wait()
        return int(wishes)
