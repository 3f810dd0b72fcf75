"""Whether the project computes on this device what it computes on the CPU, and trains and resumes on it.

Each check gives a number that must not exceed another: ``(found, allowed, note)``. A check that raises has failed.
"""

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from common import DEVICE
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch import Tensor

import looc_mm.models  # noqa: F401
from looc_mm.augmentations import AtomicAugmentation, StylizedTexture
from looc_mm.engine.launch import setup_launch
from looc_mm.models import LooCLoss, QueuePerHeadNeck
from looc_mm.registry import AUGMENTATIONS, TRANSFORMS
from looc_mm.testing import TOLERANCE, check_augmentation, colourful

from .job import ROOT, Job, call

Found = tuple[float, float, str]
FACTORS = 'configs/looc/looc_factors.py'
ADAPTERS = {
    'FromTorchvision': dict(transform='RandomSolarize', threshold=0.5),
    'FromKornia': dict(transform='RandomPosterize', p=0.5),
    'FromAlbumentations': dict(transform='ChannelShuffle', p=0.5),
}
DETERMINISTIC = f"""_base_ = {str(ROOT / FACTORS)!r}
setattr(__import__('torch').backends.cudnn, 'deterministic', True)
"""


def run(job: Job) -> None:
    """Run every check that has not passed yet, and keep a row of each.

    Raises:
        RuntimeError: If one has failed.
    """
    init_default_scope('looc_mm')
    rows = {each['check']: each for each in job.kept().get('checks', []) if each['passed']}
    wanted = [name for name in ('resume', 'distributed', 'export') if name not in rows]
    with ThreadPoolExecutor(1) as beside:  # the processes start while the checks of this process run
        trained = beside.submit(trainings, job) if wanted else None
        for check in (views, augmentations, objective, objective_bf16, queue):
            if check.__name__ not in rows:
                rows[check.__name__] = row(check.__name__, lambda check=check: check(job))
        processes = trained.result() if trained else {}
    rows |= {name: row(name, processes[name]) for name in wanted}
    if 'host waits' not in rows:
        rows['host waits'] = row('host waits', lambda: host_waits(job))
    job.keep(checks=list(rows.values()))
    for each in rows.values():
        print(each)
    if failed := [name for name, each in rows.items() if not each['passed']]:
        raise RuntimeError(f'failed: {failed}')


def row(name: str, check: Callable[[], Found]) -> dict[str, Any]:
    """One check's outcome."""
    print(name, flush=True)
    try:
        found, allowed, note = check()
    except Exception as error:
        traceback.print_exc()
        return {'check': name, 'passed': False, 'note': ' '.join(f'{type(error).__name__}: {error}'.split())[-300:]}
    return {'check': name, 'passed': found <= allowed, 'found': found, 'allowed': allowed, 'note': note}


def views(job: Job) -> Found:
    """The largest difference of a view from the CPU's, by one view table, of the pipeline with every augmentation."""
    cfg = Config.fromfile(ROOT / 'configs/looc/looc_all_r50_in100.py').model.data_preprocessor.pipeline
    if job.dry:
        cfg.augmentations[0].size = 48
    pipeline = TRANSFORMS.build(cfg)
    canvas = (255 * colourful(8 if job.dry else 64, 64 if job.dry else 256)).byte()
    table = pipeline.sample(len(canvas), torch.Generator().manual_seed(0), canvas.shape[-2:])
    difference = (pipeline.apply(canvas.to(DEVICE), table).cpu() - pipeline.apply(canvas, table)).abs()
    return difference.max().item(), TOLERANCE, f'of 1; mean {difference.mean():.1e}'


class WithCandidates(StylizedTexture):
    """Makes candidates of the images, for the contract's check, which gives images alone."""

    def apply(self, images: torch.Tensor, params: dict[str, torch.Tensor]) -> torch.Tensor:  # type: ignore[override]
        """Choose among the images, turned and negated."""
        made = [images.flip(2), images.flip(3), 1 - images, images**2]
        return super().apply(images, params, torch.stack(made, 1))


def augmentations(job: Job) -> Found:
    """How many registered augmentations break the contract on this device."""
    broken, skipped, kept = [], [], 0
    for name in sorted(AUGMENTATIONS.module_dict):
        try:
            augmentation: AtomicAugmentation = (
                WithCandidates()
                if name == 'StylizedTexture'
                else AUGMENTATIONS.build({'type': name, **ADAPTERS.get(name, {})})
            )
        except ImportError:
            skipped.append(name)
            continue
        try:
            check_augmentation(augmentation, device=DEVICE)
            kept += 1
        except AssertionError as error:
            broken.append(f'{name}: {error}')
    return len(broken), 0, '; '.join(broken) or f'{kept} keep it; library not installed: {skipped or "none"}'


def objective(job: Job) -> Found:
    """Eq. 2 and its gradients in float32: the largest relative error against a loop in float64 on the CPU."""
    return _objective(torch.float32), 1e-5, 'loss and gradients of q, relative'


def objective_bf16(job: Job) -> Found:
    """The same of bfloat16 embeddings under autocast, whose gradients are rounded to bfloat16."""
    return _objective(torch.bfloat16), 2**-7, 'loss and gradients of q, relative'


def _objective(dtype: torch.dtype, spaces: int = 3, batch: int = 8, width: int = 32, length: int = 64) -> float:
    draw = torch.Generator().manual_seed(0)
    q, k, queue = (
        F.normalize(torch.randn(*shape, generator=draw), dim=dim).to(dtype)
        for shape, dim in (
            ((spaces, batch, width), -1),
            ((spaces, spaces, batch, width), -1),
            ((spaces, width, length), 1),
        )
    )
    there = q.to(DEVICE, copy=True).requires_grad_()
    with torch.autocast(DEVICE.type, torch.bfloat16, enabled=dtype == torch.bfloat16):
        loss, _ = LooCLoss()(there, k.to(DEVICE), queue.to(DEVICE).float())
    loss.backward()
    here = q.detach().double().requires_grad_()
    expected = eq2(here, k.double(), queue.double(), 0.2)
    expected.backward()
    assert there.grad is not None and here.grad is not None
    errors = (
        (loss.detach().cpu().double() - expected.detach()).abs() / expected.detach(),
        _relative(there.grad.cpu().double(), here.grad),
    )
    return max(float(error) for error in errors)


def eq2(q: Tensor, k: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """Eq. 2, one logit at a time: q (S, B, D), k (S, S, B, D), queue (S, D, K)."""
    terms = []
    for i in range(len(q)):
        for b in range(q.shape[1]):
            negatives = [queue[i, :, j] for j in range(queue.shape[2])]
            negatives += [k[i, j, b] for j in range(len(q)) if j != i] if i else []
            logits = torch.stack([q[i, b] @ key / temperature for key in (k[i, i, b], *negatives)])
            terms.append(torch.logsumexp(logits, 0) - logits[0])
    return torch.stack(terms).mean()


def _relative(got: Tensor, expected: Tensor) -> Tensor:
    return (got - expected).norm() / expected.norm()


def queue(job: Job) -> Found:
    """How many keys are not where a first-in, first-out list has them, after two rounds and a half."""
    neck = QueuePerHeadNeck(in_channels=4, hid_channels=4, out_channels=2, queue_len=8, spaces=['a', 'b']).to(DEVICE)
    expected: list[Tensor] = [torch.zeros(0)] * 8
    for step in range(5):
        keys = torch.randn(2, 4, 2, generator=torch.Generator().manual_seed(step))  # S x B x D
        neck.enqueue(keys.to(DEVICE))
        for b in range(4):
            expected[(4 * step + b) % 8] = keys[:, b]
    wrong = (neck.queue().cpu() != torch.stack(expected, -1)).any(1).sum().item()
    return wrong, 0, 'keys'


def trainings(job: Job) -> dict[str, Callable[[], Found]]:
    """Train, resume and export by the tools, as processes side by side; the checks then read what came of it."""
    config = job.scratch / 'deterministic.py'
    config.write_text(DETERMINISTIC)
    steps, batch = (2, 8) if job.dry else (10, 64)
    small = [
        f'train_dataloader.dataset.length={batch * steps}',
        'train_cfg.max_epochs=2',
        'default_hooks.checkpoint.interval=1',
    ]
    small += ['env_cfg.cudnn_benchmark=False', 'model.backbone.stem_channels=64', 'model.backbone.base_channels=64']
    small += ['model.neck.in_channels=512', f'train_dataloader.batch_size={batch}']
    train = (config, '--cfg-options', *small)
    whole, resumed, nccl = (job.scratch / name for name in ('whole', 'resumed', 'nccl'))
    with ThreadPoolExecutor(1 if job.dry else 3) as pool:
        first = pool.submit(job.python, 'tools/train.py', *train, '--work-dir', whole)
        many = pool.submit(dist_train, job, nccl, small)
        first.exception()  # waits
        second = pool.submit(
            job.python, 'tools/train.py', *train, '--work-dir', resumed, '--resume', whole / 'epoch_1.pth'
        )
        many.exception()
        exported = pool.submit(
            job.python, 'tools/export.py', nccl / 'epoch_2.pth', job.scratch / 'backbone.pth', CUDA_VISIBLE_DEVICES=''
        )

    def resume() -> Found:
        first.result(), second.result()
        states = [torch.load(folder / 'epoch_2.pth', map_location='cpu') for folder in (whole, resumed)]
        weights = [state['state_dict'] for state in states]
        unequal = [name for name, value in weights[0].items() if not torch.equal(value, weights[1][name])]
        return len(unequal), 0, f'tensors that differ from those of {2 * steps} uninterrupted steps'

    def distributed() -> Found:
        many.result()
        return (
            0,
            0,
            f'tools/dist_train.sh, one {"NCCL" if DEVICE.type == "cuda" else "gloo"} process, --amp, two epochs',
        )

    def export() -> Found:
        exported.result()
        return 0, 0, "tools/export.py without a GPU; it compares with torchvision's network"

    return {'resume': resume, 'distributed': distributed, 'export': export}


def dist_train(job: Job, folder: Path, options: list[str]) -> None:
    """One process by the launcher."""
    words = [
        str(ROOT / 'tools/dist_train.sh'),
        FACTORS,
        '1',
        '--amp',
        '--work-dir',
        str(folder),
        '--cfg-options',
        *options,
    ]
    call(['bash', *words], job.left(), {'PORT': str(29500 + os.getpid() % 2000), 'PYTHON': sys.executable})


class Watch(Hook):
    """Has every wait of the host in a training step raise; in the hooks after it, notes where they are."""

    priority = 'HIGHEST'

    def __init__(self, after: int) -> None:
        self.after = after
        self.places: set[str] = set()
        self.watching = False

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Notes the places that torch warns of."""

        def note(message: Any, *_: Any, **__: Any) -> None:
            if self.watching and 'synchronizing' in str(message):
                frames = [
                    f for f in traceback.extract_stack() if '/looc_mm/' in f.filename or '/mmengine/' in f.filename
                ]
                self.places.update(f'{Path(f.filename).name}:{f.lineno}' for f in frames[-1:])

        shown, warnings.showwarning = warnings.showwarning, note
        with warnings.catch_warnings():
            warnings.simplefilter('always')
            warnings.showwarning = note
            try:
                yield
            finally:
                warnings.showwarning = shown

    def before_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """The step begins."""
        if DEVICE.type == 'cuda' and runner.iter >= self.after:
            torch.cuda.set_sync_debug_mode('error')

    def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
        """The step is over; what is logged is read now."""
        if DEVICE.type == 'cuda' and runner.iter >= self.after:
            torch.cuda.set_sync_debug_mode('warn')
            self.watching = True


def host_waits(job: Job) -> Found:
    """Train through MMEngine's runner; a step that waits for the device raises."""
    cfg = Config.fromfile(ROOT / FACTORS)
    cfg.merge_from_dict(
        {'train_dataloader.dataset.length': 8 * 6, 'train_dataloader.batch_size': 8, 'train_cfg.max_epochs': 2}
    )
    cfg.work_dir = str(job.scratch / 'waits')
    cfg.log_level = 'WARNING'
    cfg.optim_wrapper.type = 'AutocastOptimWrapper'
    setup_launch(cfg, 'none')
    runner = Runner.from_cfg(cfg)
    watch = Watch(after=4)
    runner.register_hook(watch)
    with watch.listening():
        try:
            runner.train()
        finally:
            if DEVICE.type == 'cuda':
                torch.cuda.set_sync_debug_mode('default')
    return (
        0,
        0,
        f'forward, backward and optimizer wait nowhere; the hooks after the step wait at {sorted(watch.places)}',
    )
