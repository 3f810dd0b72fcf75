"""A training step of LooC and LooC++ against MoCo v2's: time and peak memory, beside what arithmetic says.

    python benchmarks/step.py                       # ResNet-50: on a CPU at 112 px, on a GPU at 224 px in bfloat16
    python benchmarks/step.py --quick --json step.json

On a CPU set MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000 before it: else glibc hands memory beyond 32 MB back
to the system whenever it is freed, and the next layer has it zeroed page by page.

A step is forward, backward and SGD on views in memory; with --views also rows that make them from uint8 canvases.
All cases take turns in every round.

Peak memory is the case's weights, momentum and views, and the most that its step adds: on a GPU by the allocator's own
count, on a CPU by the running sum of the allocations that PyTorch's profiler sees, which depends neither on caches nor
on other processes.
"""

import os
import re

os.environ.setdefault('KINETO_LOG_LEVEL', '99')  # before torch: the profiler reports its every start

import warnings
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from pathlib import Path
from statistics import median
from typing import Any

import torch
from common import DEVICE, arguments, interleaved, machine, ratio, report, synchronise
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

import looc_mm.models  # noqa: F401
from looc_mm.engine import AutocastOptimWrapper
from looc_mm.registry import MODELS

CONFIG = Path(__file__).parents[1] / 'configs/looc/looc_all_r50_in100.py'
MOCO = 'MoCo v2'  # LooC with no augmentation left out
GOAL = 'LooC(2)'


@dataclass
class Case:
    """A model, its optimizer and a batch in memory.

    Attributes:
        batch: Views, (S + 1, B, 3, h, w); or canvases, (B, 3, H, W) uint8, from which the step makes them.
    """

    model: nn.Module
    wrapper: OptimWrapper
    batch: Tensor

    def step(self) -> None:
        """One training step."""
        model: Any = self.model
        if self.batch.dtype == torch.uint8:
            model.train_step({'inputs': self.batch}, self.wrapper)
            return
        with self.wrapper.optim_context(model):
            losses = model(list(self.batch), mode='loss')
        self.wrapper.update_params(model.parse_losses(losses)[0])

    def resident(self) -> int:
        """Bytes of weights, buffers, the optimizer's state and the batch."""
        states = self.wrapper.optimizer.state.values()
        kept = [*self.model.parameters(), *self.model.buffers(), self.batch]
        return size((*kept, *(value for state in states for value in state.values() if isinstance(value, Tensor))))


def size(tensors: Iterable[Tensor]) -> int:
    """Bytes."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def main() -> None:
    """Measure and report."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    warnings.filterwarnings('ignore', 'torch.utils.checkpoint: the use_reentrant')  # MMPreTrain's backbones
    torch.backends.cudnn.benchmark = True
    init_default_scope('looc_mm')
    share = last_stage_share(args)
    made: dict[str, Callable[[], Case]] = {}
    expected = {}
    for n in range(3 if args.quick else 4):
        made[f'LooC({n})' if n else MOCO] = partial(looc, args, n)
        expected[f'LooC({n})' if n else MOCO] = arithmetic(n)
    for n in range(1, 2 if args.quick else 4):
        made[f'LooC++({n})'] = partial(looc, args, n, last_stage_per_space=True)
        expected[f'LooC++({n})'] = arithmetic(n, share)
    made["MMPreTrain's MoCo v2"] = partial(mmpretrain_moco, args)
    if not args.quick:
        split = dict(type='SplitBN', splits=min(8, args.batch // 2))
        made[f'{GOAL}, split batch norm'] = partial(looc, args, 2, backbone=dict(norm_cfg=split))
        made[f'{GOAL}, checkpointing'] = partial(looc, args, 2, backbone=dict(with_cp=True))
    if args.compile:
        made[f'{MOCO}, compiled'] = partial(looc, args, 0, compile=True)
        made[f'{GOAL}, compiled'] = partial(looc, args, 2, compile=True)
    if args.views:
        made[f'{MOCO}, with views'] = partial(looc, args, 0, canvas=True)
        made[f'{GOAL}, with views'] = partial(looc, args, 2, canvas=True)
    cases = {name: make() for name, make in made.items() if name == MOCO or re.fullmatch(args.only, name)}

    times = interleaved({name: case.step for name, case in cases.items()}, rounds=args.rounds)
    peaks = {name: peak_memory(case) for name, case in cases.items()}
    rows: list[dict[str, Any]] = []
    ratios: dict[str, float] = {}
    for name in cases:
        slower, larger = ratio(times, name, MOCO), peaks[name] / peaks[MOCO]
        if name != MOCO:
            ratios |= {f'time of {name} / {MOCO}': slower, f'memory of {name} / {MOCO}': larger}
        rows.append(
            {
                'case': name,
                'ms a step': 1000 * median(times[name]),
                'images/s': args.batch / median(times[name]),
                'time / MoCo v2': slower,
                'arithmetic': expected.get(name, '-'),
                'time / arithmetic': slower / expected[name] if name in expected else '-',
                'peak MiB': peaks[name] / 2**20,
                'memory / MoCo v2': larger,
            }
        )
    precision = 'bfloat16' if args.bf16 else 'float32'
    setting = f'ResNet-{args.depth}, {args.size} px, {args.batch} images, {precision}, {args.rounds} rounds'
    report(f'{setting}: {machine("mmengine", "mmpretrain")}', rows, ratios, args.json)


def parse_args() -> Namespace:
    """The options; defaults depend on the device."""
    gpu = DEVICE.type == 'cuda'
    parser: ArgumentParser = arguments(str(__doc__).split('\n')[0])
    parser.add_argument('--depth', type=int, default=50, help='of the ResNet (50)')
    parser.add_argument('--size', type=int, help='of a view in pixels')
    parser.add_argument('--batch', type=int, help='images')
    parser.add_argument('--rounds', type=int, help='how often each case is timed')
    parser.add_argument('--bf16', action=BooleanOptionalAction, default=gpu, help='autocast to bfloat16 (on a GPU)')
    parser.add_argument('--views', action=BooleanOptionalAction, default=gpu, help='rows with views made (on a GPU)')
    parser.add_argument('--compile', action='store_true', help='rows with compiled encoders: minutes more')
    parser.add_argument('--only', default='.*', metavar='REGEX', help='the cases to time, beside MoCo v2')
    args = parser.parse_args()
    args.size = args.size or (224 if gpu else 64 if args.quick else 112)
    args.batch = args.batch or (256 if gpu else 8 if args.quick else 16)
    args.rounds = args.rounds or (5 if args.quick else 20 if gpu else 9)
    return args


def arithmetic(n: int, last_stage: float = 0) -> float:
    """FLOPs of a LooC step over a MoCo v2 step; the heads' MLPs not counted.

    A query costs 3 passes (one forward, two backward), a key 1. In LooC++ the query goes through n + 1 last stages and
    the keys through those of the 1 + n(n + 1) pairs that Eq. 2 reads.

    Args:
        n: Augmentations left out.
        last_stage: In LooC++, the last stage's share of the backbone's FLOPs.
    """
    own = 3 * (n + 1) + 1 + n * (n + 1)
    return ((1 - last_stage) * (3 + n + 1) + last_stage * own) / 4


def last_stage_share(args: Namespace) -> float:
    """The last stage's share of a backbone's FLOPs, counted."""
    backbone = MODELS.build(dict(type='ResNet', depth=args.depth))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        backbone(torch.randn(2, 3, args.size, args.size))
    counts = counter.get_flop_counts()
    return sum(counts['ResNet.layer4'].values()) / counter.get_total_flops()


def looc(args: Namespace, n: int, canvas: bool = False, backbone: dict | None = None, **changes: Any) -> Case:
    """The shipped LooC with its first n augmentations left out, and changes of its config."""
    cfg = Config.fromfile(CONFIG).model
    cfg.backbone.update(backbone or {})
    cfg.update(changes)
    cfg.backbone.depth, cfg.neck.in_channels = args.depth, width(args)
    pipeline = cfg.data_preprocessor.pipeline
    pipeline.leave_one_out = pipeline.leave_one_out[:n]
    pipeline.augmentations[0].size = args.size
    side = args.size * 8 // 7
    shape = (args.batch, 3, side, side) if canvas else (n + 2, args.batch, 3, args.size, args.size)
    batch = torch.randint(256, shape, dtype=torch.uint8) if canvas else torch.randn(shape)
    return prepare(args, MODELS.build(cfg), batch)


def mmpretrain_moco(args: Namespace) -> Case:
    """MMPreTrain's own MoCo v2, as its config has it, with our queue's length."""
    cfg = dict(
        type='mmpretrain.MoCo',
        queue_len=16384,
        feat_dim=128,
        momentum=0.001,
        backbone=dict(type='ResNet', depth=args.depth, norm_cfg=dict(type='BN'), zero_init_residual=False),
        neck=dict(type='MoCoV2Neck', in_channels=width(args), hid_channels=2048, out_channels=128),
        head=dict(type='ContrastiveHead', loss=dict(type='CrossEntropyLoss'), temperature=0.2),
    )
    return prepare(args, MODELS.build(cfg), torch.randn(2, args.batch, 3, args.size, args.size))


def width(args: Namespace) -> int:
    """C of the ResNet."""
    return 2048 if args.depth >= 50 else 512


def prepare(args: Namespace, model: nn.Module, batch: Tensor) -> Case:
    """To the device, with the paper's SGD."""
    model.to(DEVICE).train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    sgd = torch.optim.SGD(trained, lr=1e-4, momentum=0.9, weight_decay=1e-4)
    return Case(model, AutocastOptimWrapper(sgd) if args.bf16 else OptimWrapper(sgd), batch.to(DEVICE))


def peak_memory(case: Case) -> int:
    """Bytes at the peak of a step, other cases apart."""
    return case.resident() + added_memory(case.step)


def added_memory(work: Callable[[], object]) -> int:
    """The most bytes by which a call outgrows what was there before."""
    if DEVICE.type == 'cuda':
        synchronise()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    events: Any = profiler.profiler
    changes = [event for event in events.kineto_results.events() if event.name() == '[memory]']
    return max(accumulate(event.nbytes() for event in sorted(changes, key=lambda event: event.start_ns())))


if __name__ == '__main__':
    main()
