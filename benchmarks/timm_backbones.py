"""Twelve backbones of timm on the Factors pictures: whether the rotation space learns, and what export and LooC++ give.

    python benchmarks/timm_backbones.py                             # 50 steps each; hours on a CPU
    python benchmarks/timm_backbones.py --only 'resnet10t|vit_tiny.*' --steps 100 --json timm.json

Every backbone starts with random weights. P is the share of pictures whose embedding in the rotation space is nearer to
the view with the same rotation than to the view with another; 0.5 is chance. It is a mean over the second half of the
steps. The last ratio is the time of a step of LooC with two spaces over that of MoCo v2, which has two views.
"""

import re
import tempfile
import time
import warnings
from argparse import Namespace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from common import DEVICE, arguments, interleaved, machine, ratio, report
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

import looc_mm.models  # noqa: F401
from looc_mm.datasets.folder import ImageFolder  # noqa: F401  # registers the datasets
from looc_mm.export import Training, export_timm_hub
from looc_mm.registry import DATASETS, MODELS

CONFIG = Path(__file__).parents[1] / 'configs/looc/looc_factors.py'
BACKBONES = (
    'resnet10t',
    'resnet18',
    'regnetx_002',
    'mobilenetv3_small_050',
    'efficientnet_lite0',
    'convnext_atto',
    'edgenext_xx_small',
    'mobilevitv2_050',
    'vit_tiny_patch16_224',
    'swin_tiny_patch4_window7_224',
    'vit_small_patch14_dinov2',
    'vit_small_patch16_dinov3',
)
TIMED = 'vit_tiny_patch16_224'
SPACE = 'rotation'
#: On a CPU, what this process got of the machine.
CLOCK = time.process_time if DEVICE.type == 'cpu' else time.perf_counter


def main() -> None:
    """Train, export and report."""
    parser = arguments(str(__doc__).split('\n')[0])
    parser.add_argument('--steps', type=int, default=50, help='of each training (50)')
    parser.add_argument('--size', type=int, default=48, help='of a view in pixels (48)')
    parser.add_argument('--batch', type=int, default=64, help='images (64)')
    parser.add_argument('--lr', type=float, default=1e-3, help='of AdamW (0.001)')
    parser.add_argument('--rounds', type=int, help='how often the step of each method is timed; 0 to leave it out')
    parser.add_argument('--only', default='.*', metavar='REGEX', help='names of backbones')
    args = parser.parse_args()
    rounds = (2 if args.quick else 10) if args.rounds is None else args.rounds
    if args.steps < 2:
        parser.error('--steps is at least 2')
    torch.set_num_threads(args.threads)
    warnings.filterwarnings('ignore')
    init_default_scope('looc_mm')
    MMLogger.get_current_instance().setLevel('ERROR')  # it prints a paragraph for each weight
    chosen = [name for name in BACKBONES if re.fullmatch(args.only, name)]
    rows = [row(name, args) for name in chosen]
    ratios = {} if rounds == 0 else {f'time of LooC(2) / MoCo v2, {TIMED}': cost(args, rounds)}
    setting = f'{args.steps} steps, {args.batch} images of {args.size} px, AdamW {args.lr:g}'
    report(f'{setting}: {machine("timm", "mmengine")}', rows, ratios, args.json)


def row(name: str, args: Namespace) -> dict[str, Any]:
    """What is measured of a backbone."""
    model = build(name, args)
    start = CLOCK()
    p, images = train(model, args)
    seconds = (CLOCK() - start) / args.steps
    with tempfile.TemporaryDirectory() as folder:
        facts = Training({'started with': 'random weights'})
        about = export_timm_hub(model.cpu().eval(), Path(folder, 'hub'), facts)
    found = {
        'backbone': name,
        'million weights': sum(each.numel() for each in model.backbone.parameters()) / 1e6,
        'P of rotation': f'{p:.2f}',
        'images in P': images,
        's a step': seconds,
        'export difference': f'{about["difference"]:.0e}',
        'equal with channels_last': 'yes' if about['equal'] else 'no',
        'LooC++': plus(name, args),
    }
    print(found, flush=True)  # the table comes at the end, maybe hours later
    return found


def build(name: str, args: Namespace, **changes: Any) -> Any:
    """LooC with the spaces rotation and color on a backbone of timm."""
    torch.manual_seed(0)
    cfg = Config.fromfile(CONFIG).model
    cfg.backbone = dict(type='TimmFeatures', name=name)
    cfg.neck = dict(type='QueuePerHeadNeck', hid_channels=128, queue_len=4 * args.batch)
    cfg.data_preprocessor.pipeline.augmentations[0].size = args.size
    pipeline = changes.pop('leave_one_out', None)
    if pipeline is not None:
        cfg.data_preprocessor.pipeline.leave_one_out = pipeline
    cfg.update(changes)
    model: Any = MODELS.build(cfg)
    model.init_weights()
    return model.to(DEVICE).train()


def train(model: Any, args: Namespace) -> tuple[float, int]:
    """Train; returns P of the rotation space in the second half of the steps, and the number of images in it."""
    batches = loader(args)
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=args.lr)
    for step in range(args.steps):
        if step == args.steps // 2:
            model.figures.read()
        one_step(model, optimizer, next(batches))
    p, images = model.figures.read()[SPACE].get('P', (float('nan'), 0))
    return p, images


def loader(args: Namespace) -> Any:
    """Batches of canvases, without an end."""
    cfg = Config.fromfile(CONFIG).train_dataloader.dataset
    cfg.length = max(4096, args.batch) if not args.quick else 4 * args.batch
    data = DataLoader(DATASETS.build(cfg), args.batch, shuffle=True, drop_last=True)
    while True:
        for batch in data:
            yield {'inputs': batch['inputs'].to(DEVICE)}


def one_step(model: Any, optimizer: torch.optim.Optimizer, batch: dict[str, Any]) -> None:
    """From canvases to new weights."""
    losses = model(**model.data_preprocessor(batch, True), mode='loss')
    losses['loss'].backward()
    optimizer.step()
    optimizer.zero_grad()


def plus(name: str, args: Namespace) -> str:
    """Whether LooC++ takes the backbone: a step of it."""
    try:
        model = build(name, args, last_stage_per_space=True)
    except ValueError as error:
        if 'does not allow' not in str(error):
            raise
        return 'no'
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=args.lr)
    one_step(model, optimizer, next(loader(args)))
    return 'yes'


def cost(args: Namespace, rounds: int) -> float:
    """Time of a step of LooC with two spaces over that of MoCo v2, the median over rounds."""
    batch, cases = next(loader(args)), {}
    for name, spaces in (('looc', ['rotation', 'color']), ('moco', [])):
        model = build(TIMED, args, leave_one_out=spaces)
        optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=args.lr)
        cases[name] = lambda model=model, optimizer=optimizer: one_step(model, optimizer, dict(batch))
    times = interleaved(cases, rounds, clock=CLOCK)
    print({name: round(median(each), 3) for name, each in times.items()}, 's a step')
    return ratio(times, 'looc', 'moco')


if __name__ == '__main__':
    main()
