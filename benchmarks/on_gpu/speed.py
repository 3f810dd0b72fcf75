"""Where the time of a training step goes, and what views, loader and memory cost.

The step's rows come from ``benchmarks/step.py`` and those of a worker from ``benchmarks/loader.py``. Here a step is cut
into its phases by events on the device, and into kinds of kernels by PyTorch's profiler.
"""

import time
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import cv2
import torch
from common import DEVICE, seconds
from mmengine.registry import init_default_scope
from recipes import MOCO, ROTATION, photographs
from step import Case, looc
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode
from train import ours

from looc_mm.views import LeaveOneOutPipeline

from .job import Job

PHASES = ('views', 'keys', 'query', 'loss', 'backward', 'optimizer', 'other')
KINDS = {
    'convolution': ('convolution', 'conv_depthwise'),
    'batch norm': ('batch_norm',),
    'matrix product': ('aten::mm', 'aten::addmm', 'aten::bmm', 'aten::baddbmm'),
}
TEXTURE = dict(type='RandomConvTexture')


def run(job: Job) -> None:
    """Keep the rows of step and loader and what is measured here, each once, however often the part is begun."""
    args = settings(job)
    init_default_scope('looc_mm')
    torch.backends.cudnn.benchmark = True
    plain = "LooC.*|MMPreTrain's.*" if not job.dry else r'LooC\(1\)'
    job.once('views', lambda: views(args))
    job.once('phases', lambda: {f'n = {n}': phases(args, n) for n in range(2 if job.dry else 4)})
    job.once('flops', lambda: flops(args))
    job.once('step', lambda: job.benchmark('step', *step_options(job, args), '--only', plain))
    job.once('loader', lambda: loader(args))
    job.once('worker', lambda: job.benchmark('loader', '--quick'))


def settings(job: Job) -> Namespace:
    """The paper's network and view; a tiny one to try the code."""
    if job.dry:
        return Namespace(depth=18, size=32, batch=4, bf16=True, workers=1, rounds=1, steps=2)
    return Namespace(depth=50, size=224, batch=256, bf16=True, workers=15, rounds=5, steps=60)


def step_options(job: Job, args: Namespace) -> list[object]:
    """The command line of ``benchmarks/step.py``."""
    size = ['--depth', args.depth, '--size', args.size, '--batch', args.batch]
    return [*size, '--rounds', 1 if job.dry else 8, *(['--quick'] * job.dry)]


def views(args: Namespace) -> list[dict[str, Any]]:
    """Milliseconds for the views of a batch: drawing the table on the host, and making the views on the device."""
    canvas = torch.randint(
        256, (args.batch, 3, args.size * 8 // 7, args.size * 8 // 7), dtype=torch.uint8, device=DEVICE
    )
    augmentations = [dict(MOCO[0], size=args.size), *MOCO[1:]]
    turned = [*augmentations[:2], ROTATION, *augmentations[2:]]
    recipes = {
        'MoCo v2': (augmentations, []),
        'LooC (rotation, color)': (turned, ['rotation', 'color']),
        'LooC (rotation, color), no blur': (turned[:-1], ['rotation', 'color']),
        'LooC (rotation, color), crop, flip and rotation alone': (turned[:3], ['rotation']),
        'LooC (rotation, texture, color)': ([*turned[:3], TEXTURE, *turned[3:]], ['rotation', 'texture', 'color']),
    }
    rows = []
    for name, (steps, spaces) in recipes.items():
        pipeline = LeaveOneOutPipeline(steps, spaces)
        sample = timed(lambda p=pipeline: p.sample(args.batch, None, canvas.shape[-2:]), args.rounds)
        table = pipeline.sample(args.batch, torch.Generator().manual_seed(0), canvas.shape[-2:])
        apply = timed(lambda p=pipeline, t=table: p.apply(canvas, t), args.rounds)
        count = len(pipeline.views) * args.batch
        rows.append({'views': name, 'in a batch': count, 'ms drawn on the host': 1e3 * sample, 'ms made': 1e3 * apply})
    return rows


def timed(work: Callable[[], object], rounds: int) -> float:
    """Median seconds of a call, after two that do not count."""
    work(), work()
    return median(seconds(work) for _ in range(3 * rounds))


class Phases:
    """Cuts a case's step into phases: stamps around the methods that make them."""

    def __init__(self, case: Case) -> None:
        self.stamps: list[tuple[str, Any, Any]] = []
        model: Any = case.model
        for owner, method, phase in (
            (model.data_preprocessor, 'forward', 'views'),
            (model, 'update_key_encoder', 'optimizer'),
            (model, 'encode_keys', 'keys'),
            (model, 'features', 'query'),
            (model.neck, 'forward', 'query'),
            (model, 'contrast', 'loss'),
            (case.wrapper, 'backward', 'backward'),
            (case.wrapper, 'step', 'optimizer'),
            (case.wrapper, 'zero_grad', 'optimizer'),
        ):
            setattr(owner, method, self.stamped(getattr(owner, method), phase))

    def stamped(self, method: Callable, phase: str) -> Callable:
        """The method, between two stamps."""

        def call(*args: Any, **kwargs: Any) -> Any:
            begin = stamp()
            result = method(*args, **kwargs)
            self.stamps.append((phase, begin, stamp()))
            return result

        return call


def stamp() -> Any:
    """A moment of the device's queue; on a CPU of the clock."""
    if DEVICE.type != 'cuda':
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def between(begin: Any, end: Any) -> float:
    """Milliseconds between two stamps, once the device has passed them."""
    return begin.elapsed_time(end) if DEVICE.type == 'cuda' else 1e3 * (end - begin)


def phases(args: Namespace, n: int) -> dict[str, Any]:
    """Milliseconds of a step with views, whole and by phase, and the kinds of kernels in it."""
    case = looc(args, n, canvas=True)
    cut = Phases(case)
    whole = []
    for turn in range(3 + args.rounds):
        if turn == 3:
            cut.stamps.clear()
        begin = stamp()
        case.step()
        whole.append((begin, stamp()))
    if DEVICE.type == 'cuda':
        torch.cuda.synchronize()
    total = median(between(*each) for each in whole[3:])
    spent: dict[str, float] = defaultdict(float)
    for phase, begin, end in cut.stamps:
        spent[phase] += between(begin, end) / args.rounds
    spent['other'] = max(0.0, total - sum(spent.values()))
    copied = copy_ms(case.batch)
    return {'ms': total, **{phase: spent[phase] for phase in PHASES}, 'copy, beside the step': copied, **kinds(case)}


def copy_ms(batch: torch.Tensor) -> float:
    """Milliseconds to bring a batch of canvases from pinned memory to the device."""
    if DEVICE.type != 'cuda':
        return 0.0
    source = batch.cpu().pin_memory()
    return 1e3 * timed(lambda: source.to(DEVICE, non_blocking=True), 3)


def kinds(case: Case) -> dict[str, Any]:
    """Shares of a step's time on the device by kind of kernel."""
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if DEVICE.type == 'cuda' else [])]
    with profile(activities=activities, acc_events=True) as profiler:
        case.step()
        if DEVICE.type == 'cuda':
            torch.cuda.synchronize()
    spent: dict[str, float] = defaultdict(float)
    for event in profiler.key_averages():
        own = event.self_device_time_total if DEVICE.type == 'cuda' else event.self_cpu_time_total
        if not event.key.startswith('aten::') or not own:  # a kernel is counted with the operator that launched it
            continue
        spent[next((kind for kind, words in KINDS.items() if any(w in event.key for w in words)), 'elementwise')] += own
    whole = sum(spent.values()) or 1.0
    return {'kernels': {kind: value / whole for kind, value in spent.items()}}


def flops(args: Namespace) -> dict[str, float]:
    """FLOPs of a step, counted; two for a multiplication with its addition."""
    counted = {}
    for n in (0, 2):
        case = looc(args, n)
        case.step()
        with FlopCounterMode(display=False) as counter:
            case.step()
        counted[f'n = {n}'] = float(counter.get_total_flops())
    return counted


def loader(args: Namespace) -> dict[str, float]:
    """Images/s that the worker processes decode and pack, with no training beside them."""
    with TemporaryDirectory() as folder:
        for index, photo in enumerate(photographs(64)):
            cv2.imwrite(f'{folder}/{index}.jpg', photo)
        batches = iter(ours(folder, args))
        for _ in range(2 * args.workers + 1):  # what may be in store
            next(batches)
        spent = seconds(lambda: [next(batches) for _ in range(args.steps)])
    return {'images/s': args.steps * args.batch / spent, 'workers': args.workers}
