"""What a process sends in a training step: counted on CPU processes here, and computed for many GPUs.

    python benchmarks/scaling.py
    python benchmarks/scaling.py --quick --json scaling.json

Counted: the bytes that are handed to torch.distributed for other processes, over some steps of a small LooC on gloo.
Computed: the same formula for ResNet-50 at 224 px with 32 images a process, and the time of those bytes on a link that
nothing else delays. The formula, per process and step, of N processes with B images, S = n + 1 spaces of D numbers and
P trained parameters, where a ring passes on what is gathered and reduced:

    images      (N - 1) / N * S B 3 h w * (4, or 2 under autocast)    all-to-all, before the key encoder
    embeddings  (N - 1) / N * S S B D * 4                             all-to-all, after it
    keys        (N - 1) * S B D * 4                                   all-gather, for the queues
    gradients   2 (N - 1) / N * P * 4                                 all-reduce, while the backward pass runs
"""

import tempfile
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from common import arguments, machine, report
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import init_default_scope
from torch import Tensor, distributed, multiprocessing, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel

import looc_mm.models  # noqa: F401
from looc_mm.registry import MODELS

CONFIG = Path(__file__).parents[1] / 'configs/looc/looc_r50_in100.py'
SMALL = dict(depth=18, size=32, batch=16)
LARGE = dict(depth=50, size=224, batch=32)
COLLECTIVES = ('images', 'embeddings', 'keys', 'gradients')
MEGA = 1e6


def main() -> None:
    """Count, compute and report."""
    parser = arguments(str(__doc__).split('\n')[0])
    parser.add_argument('--steps', type=int, default=20, help='that the counts are the mean of (20)')
    parser.add_argument('--link', type=float, default=50, help='GB/s that a process sends with (50: 400 Gb/s)')
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    init_default_scope('looc_mm')

    rows: list[dict[str, Any]] = []
    ratios: dict[str, float] = {}
    for bf16 in (True,) if args.quick else (False, True):
        for processes in (2,) if args.quick else (1, 2, 4):
            counts, formula = count(processes, bf16, args.steps), sent(build(**SMALL), processes, bf16, **SMALL)
            rows.append(row('counted, small', bf16, processes, counts))
            rows.append(row('formula, small', bf16, processes, formula))
            ratios |= {
                f'{name}, {processes} processes, {precision(bf16)}: counted / formula': counts[name] / formula[name]
                for name in COLLECTIVES
                if formula[name]
            }
    model = build(**LARGE)
    for bf16 in (False, True):
        for processes in (8, 64, 256, 1024):
            formula = sent(model, processes, bf16, **LARGE)
            rows.append(row('formula, ResNet-50', bf16, processes, formula, args.link))
    about = f'MB that a process sends in a step; ms on a link of {args.link:g} GB/s are computed, not measured'
    report(f'{about}: {machine("mmengine")}', rows, ratios, args.json)


def build(depth: int, size: int, **_: int) -> nn.Module:
    """The shipped LooC with rotation and colour left out, on a ResNet of some depth."""
    cfg = Config.fromfile(CONFIG).model
    cfg.backbone.depth, cfg.neck.in_channels = depth, 2048 if depth >= 50 else 512
    cfg.data_preprocessor.pipeline.augmentations[0].size = size
    torch.manual_seed(0)
    return MODELS.build(cfg)


def sent(model: Any, processes: int, bf16: bool, size: int, batch: int, **_: int) -> dict[str, float]:
    """Bytes by the formula above."""
    spaces, width = len(model.spaces), model.neck.queue().shape[1]
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    others = (processes - 1) / processes
    return {
        'images': others * spaces * batch * 3 * size**2 * (2 if bf16 else 4),
        'embeddings': others * spaces**2 * batch * width * 4,
        'keys': (processes - 1) * spaces * batch * width * 4,
        'gradients': 2 * others * trained * 4,
    }


def count(processes: int, bf16: bool, steps: int) -> dict[str, float]:
    """Bytes that a process of a running training sends, the mean over the steps and the processes."""
    with tempfile.TemporaryDirectory() as folder:
        multiprocessing.spawn(train, (processes, bf16, steps, folder), processes)
        counts = [torch.load(file) for file in Path(folder).glob('*.pth')]
    return {name: sum(each.get(name, 0) for each in counts) / processes / steps for name in COLLECTIVES}


def train(rank: int, processes: int, bf16: bool, steps: int, folder: str) -> None:
    """One process: some steps on random views, their bytes written to the folder."""
    torch.set_num_threads(1)
    warnings.filterwarnings('ignore', '`broadcast_buffers` is deprecated')
    init_default_scope('looc_mm')
    distributed.init_process_group('gloo', f'file://{folder}/meeting', rank=rank, world_size=processes)
    hub = MessageHub.get_instance('scaling')
    model = DistributedDataParallel(build(**SMALL), broadcast_buffers=False)
    views = torch.randn(4, SMALL['batch'], 3, SMALL['size'], SMALL['size'])
    with counted(model) as counts:
        for step in range(steps):
            hub.update_info_dict(dict(seed=0, iter=step))
            with torch.autocast('cpu', dtype=torch.bfloat16, enabled=bf16):
                losses = model(views, mode='loss')
            losses['loss'].backward()
    torch.save(dict(counts), f'{folder}/{rank}.pth')
    distributed.destroy_process_group()


@contextmanager
def counted(model: DistributedDataParallel) -> Iterator[dict[str, float]]:
    """Count what torch.distributed is given to send; in a ring, for gathering and reducing."""
    counts: dict[str, float] = defaultdict(float)
    others = distributed.get_world_size() - 1
    exchange, gather = distributed.all_to_all_single, distributed.all_gather

    def counting_exchange(incoming: Tensor, outgoing: Tensor, received: list[int], parts: list[int]) -> Any:
        kept = outgoing[: parts[distributed.get_rank()]].nbytes
        counts['images' if outgoing.ndim == 5 else 'embeddings'] += outgoing.nbytes - kept
        return exchange(incoming, outgoing, received, parts)

    def counting_gather(gathered: list[Tensor], tensor: Tensor, *arguments: Any) -> Any:
        counts['keys'] += others * tensor.nbytes
        return gather(gathered, tensor, *arguments)

    def counting_reduce(
        group: distributed.ProcessGroup, bucket: distributed.GradBucket
    ) -> torch.futures.Future[Tensor]:
        counts['gradients'] += 2 * others * bucket.buffer().nbytes / (others + 1)
        return allreduce_hook(group, bucket)

    model.register_comm_hook(distributed.group.WORLD, counting_reduce)
    with (
        patch.object(distributed, 'all_to_all_single', counting_exchange),
        patch.object(distributed, 'all_gather', counting_gather),
    ):
        yield counts


def row(what: str, bf16: bool, processes: int, sizes: dict[str, float], link: float | None = None) -> dict[str, Any]:
    """One line of the table; times where a link's speed in GB/s is given."""
    waited = sum(sizes[name] for name in COLLECTIVES if name != 'gradients')
    return {
        'what': what,
        'precision': precision(bf16),
        'processes': processes,
        **{f'{name} MB': sizes[name] / MEGA for name in COLLECTIVES},
        'ms waited for': waited / link / MEGA if link else '-',
        'ms of gradients': sizes['gradients'] / link / MEGA if link else '-',
    }


def precision(bf16: bool) -> str:
    """Its name."""
    return 'bfloat16' if bf16 else 'float32'


if __name__ == '__main__':
    main()
