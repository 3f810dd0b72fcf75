"""Start the processes of a tool on this node, and end them together.

    python -m looc_mm.launcher NPROC TOOL [ARGUMENT ...]

tools/dist_train.sh and tools/dist_test.sh run this. Each process gets the variables of torchrun: RANK, LOCAL_RANK,
WORLD_SIZE, LOCAL_WORLD_SIZE, MASTER_ADDR and MASTER_PORT. Several nodes: set NNODES, NODE_RANK, MASTER_ADDR and PORT.

Why not torchrun: it kills the processes 30 seconds after a signal, so that a checkpoint may not be finished; its exit
status is 1 for every status of theirs; and if it is killed, they go on.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

from looc_mm.stop import SIGNALS, STOPPED, die_with_parent

POLL_SECONDS = 0.1


def launch(processes: int, command: Sequence[str]) -> int:
    """Run a command in several processes until all of them have ended, or one has failed.

    SIGINT and SIGTERM go on to each process, once for each time that they come. When a process fails, the others are
    killed: they would wait for it. On Linux the kernel kills all of them when this process dies, however that happens.

    Args:
        processes: How many run on this node.
        command: Program and arguments.

    Returns:
        The exit status: 0 if all ended with 0, ``STOPPED`` if they stopped with a checkpoint, else that of the first
        process that failed, 128 + n after signal n.
    """
    ranks: list[subprocess.Popen] = []

    def hand_on(number: int, frame: FrameType | None) -> None:
        for each in ranks:
            each.send_signal(number)

    for number in SIGNALS:
        signal.signal(number, hand_on)
    first = int(os.environ.get('NODE_RANK', 0)) * processes
    shared = _environment(processes)
    try:
        for local in range(processes):
            own = {**os.environ, **shared, 'RANK': str(first + local), 'LOCAL_RANK': str(local)}
            # In a session of their own a Ctrl-C in the terminal reaches them through this process alone.
            ranks.append(subprocess.Popen(command, env=own, start_new_session=True, preexec_fn=die_with_parent))
        while True:
            codes = [each.poll() for each in ranks]
            failed = next((local for local, code in enumerate(codes) if code not in (None, 0, STOPPED)), None)
            if failed is not None:
                return _report(first + failed, codes[failed] or 0)
            if None not in codes:
                return STOPPED if STOPPED in codes else 0
            time.sleep(POLL_SECONDS)
    finally:
        for each in ranks:
            with suppress(ProcessLookupError, PermissionError):  # macOS answers the latter for a group of zombies
                os.killpg(each.pid, signal.SIGKILL)


def _environment(processes: int) -> dict[str, str]:
    """The variables that all processes share."""
    nodes = int(os.environ.get('NNODES', 1))
    shared = {'WORLD_SIZE': str(nodes * processes), 'LOCAL_WORLD_SIZE': str(processes)}
    if processes > 1:
        shared['OMP_NUM_THREADS'] = os.environ.get('OMP_NUM_THREADS', '1')
    if nodes == 1 and not os.environ.get('PORT'):  # a free port, so that two jobs on a machine do not meet
        with socket.socket() as probe:
            probe.bind(('127.0.0.1', 0))
            return {**shared, 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(probe.getsockname()[1])}
    port = os.environ.get('PORT') or '29500'
    return {**shared, 'MASTER_ADDR': os.environ.get('MASTER_ADDR', '127.0.0.1'), 'MASTER_PORT': port}


def _report(rank: int, code: int) -> int:
    how = f'ended with status {code}' if code > 0 else f'was ended by {signal.Signals(-code).name}'
    print(f'Process {rank} {how}. The others of this node are ended too.', file=sys.stderr)
    return code if code > 0 else 128 - code


if __name__ == '__main__':
    sys.exit(launch(int(sys.argv[1]), [sys.executable, *sys.argv[2:]]))
