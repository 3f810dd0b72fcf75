"""From a folder of pictures to a trained network: ``looc pretrain PICTURES --out DIR``."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from looc_mm.stop import TrainingStoppedError

from .arguments import Plugins, UsageError
from .train import train

if TYPE_CHECKING:
    from torch import Tensor

    from looc_mm.answer.answer import Answer
    from looc_mm.pretraining.config import Request
    from looc_mm.pretraining.settings import Schedule, Settings

CONFIG, CANVASES = 'config.py', 'canvases'
#: Seconds between two checkpoints, about.
SAVE_EVERY = 120
#: A training with fewer steps gets a warning.
FEW_STEPS = 500


@dataclass(frozen=True)
class PretrainedRun:
    """A network that :func:`pretrain` trained.

    Attributes:
        folder: The work dir, with ``config.py``.
        pictures: The folder or list of pictures that was given.
        checkpoint: The file of the weights.
    """

    folder: Path
    pictures: Path
    checkpoint: Path

    def embed(self, folder: str | Path, spaces: Sequence[str] | None = None, **options: Any) -> 'Tensor':
        """The features of the pictures of a folder, sorted by path.

        Args:
            folder: The pictures.
            spaces: "V" or names of spaces, which are concatenated; None for V.
            **options: Of :func:`looc_mm.export.get_features`.

        Returns:
            (N, C) float32, on the CPU.
        """
        from looc_mm.export import get_features

        return get_features(self.checkpoint, folder, '+'.join(spaces) if spaces else None, **options)

    def evaluate(self, labelled: str | Path, **options: Any) -> 'Answer':
        """Compare V, the spaces and baselines on labelled pictures; see :func:`looc_mm.answer.answer`."""
        from looc_mm.answer import answer

        return answer(self.checkpoint, labelled, **options)

    def export(self, out: str | Path, **options: Any) -> dict[str, Any]:
        """Write the network for other libraries; see :func:`looc_mm.cli.export`."""
        from .export import export

        return export(self.checkpoint, out, **options)

    def next_commands(self) -> str:
        """Where the checkpoint is, and what to do with it."""
        from looc_mm.files import folder_name

        name = folder_name(self.pictures)
        commands = [
            (f'looc test {self.folder} LABELLED', 'which features to use on labelled pictures, beside baselines'),
            (f'looc extract {self.folder} {self.pictures} {name}.npz --spaces V all', 'features of every picture'),
            (f'looc export {self.folder} {name}.onnx', "for other programs: pip install 'looc_mm[export]'"),
        ]
        return '\n'.join([f'Checkpoint: {self.checkpoint}', 'Next:', *(f'  {c}  # {why}' for c, why in commands)])


def pretrain(
    pictures: str | Path,
    *,
    out: str | Path,
    spaces: Sequence[str] | None = None,
    minutes: float | None = None,
    epochs: int | None = None,
    network: Literal['resnet18-narrow', 'resnet18', 'resnet50'] | None = None,
    backbone: str | None = None,
    pretrained: bool = False,
    weights: str | Path | None = None,
    freeze: bool = False,
    size: int | None = None,
    no_flip: bool = False,
    seed: int | None = None,
    plugin: Plugins = (),
) -> PretrainedRun:
    """Pretrain on a folder of pictures without labels.

    For example::

        looc pretrain data/photos --out runs/photos --minutes 10
        looc pretrain data/photos --out runs/photos  # the second call continues an interrupted run
        looc pretrain data/photos --out runs/moco --minutes 10 --spaces none  # MoCo, to compare
        looc pretrain data/photos --out runs/vit --backbone timm/vit_tiny_patch16_224 --weights weights/vit_tiny

    It chooses settings for the pictures, the machine and the time, prints them with reasons, and writes them to
    OUT/config.py, a config for "looc train". Pictures in PICTURES/val are left unseen if there are train and val.

    Args:
        pictures: folder of pictures, of any depth; or a list, a .txt or .csv file with one path a line
        out: folder for the config, the checkpoints and the log
        spaces: names of augmentations that get a space: rotation, color, texture, or those of a plug-in; "none" for
            MoCo; default: rotation color
        minutes: time for all of it; the number of epochs follows from the speed of the first steps
        epochs: passes over the pictures; default without minutes: by the number of pictures
        network: default: resnet18-narrow on a CPU; on a GPU by pictures, memory and time
        backbone: another network: timm/NAME or torchvision/NAME (pip install 'looc_mm[timm]')
        pretrained: start the backbone with timm's pretrained weights, from the Hugging Face hub
        weights: start the backbone with this file of weights, or with a folder that has config.json
        freeze: train the heads alone, on a pretrained backbone that does not change
        size: side of a view in pixels; default: that of pretrained weights, 224 at most; or by the device, the time and
            the sizes of the pictures
        no_flip: do not mirror pictures: for pictures where left and right differ, such as text, signs and hands
        seed: random seed (default: 0)
        plugin: import this file, which registers classes: augmentations, models, ...; may be given more than once

    Returns:
        The run: its checkpoint, and methods to embed, evaluate and export.

    Raises:
        ValueError: An option does not fit, or OUT has a run with other settings.
        FileNotFoundError: There is no such folder or list, no picture in it, or no such plug-in.
        TrainingStoppedError: A signal stopped the training, and a checkpoint was written.
    """
    started = time.perf_counter()
    if minutes is not None and epochs is not None:
        raise UsageError('give --minutes or --epochs, not both')
    if minutes is not None and minutes <= 0:
        raise ValueError(f'Got minutes={minutes}; give a positive number.')
    if epochs is not None and epochs < 1:
        raise ValueError(f'Got epochs={epochs}; give at least 1.')
    check_start(network, backbone, pretrained, weights, freeze)
    from looc_mm.files import atomic_write, last_checkpoint
    from looc_mm.plugins import load_files
    from looc_mm.pretraining.config import Request, check_same, check_spaces

    load_files(plugin)
    folder, root = Path(out).expanduser().resolve(), Path(pictures).expanduser().resolve()
    request = Request(
        pictures=str(root),
        spaces=None if spaces is None else check_spaces(spaces),
        minutes=minutes,
        epochs=epochs,
        network=network,
        backbone=backbone,
        pretrained=pretrained or None,
        weights=None if weights is None else str(Path(weights).expanduser().resolve()),
        freeze=freeze or None,
        size=size,
        flip=False if no_flip else None,
        seed=seed,
    )
    path = folder / CONFIG
    if not path.is_file():
        check_folder(folder, root)
        text = make_config(request, folder, started)
        with atomic_write(path, single_writer=True) as part:
            part.write_text(text)
        print(f'Config: {path}', flush=True)
    else:
        check_same(request, path)
    last = last_checkpoint(folder)
    if last is None or not is_finished(path, last):
        if last is not None:
            print(f'Continuing the run in {folder} after {last.name}, with the settings in {path}.', flush=True)
        resume = None if last is None else str(last)
        try:
            train(path, work_dir=folder, resume=resume, data_root=own_canvases(path))
        except TrainingStoppedError:
            print('The same command continues this run.')
            raise
        last = last_checkpoint(folder)
        assert last is not None
    else:
        print(f'The run in {folder} is finished. Give another --out to train with other settings, or longer.')
    run = PretrainedRun(folder, root, last)
    print(run.next_commands())
    return run


def check_start(
    network: str | None, backbone: str | None, pretrained: bool, weights: str | Path | None, freeze: bool
) -> None:
    """Refuse options of the backbone that do not fit each other.

    Raises:
        UsageError: As said.
    """
    if network is not None and backbone is not None:
        raise UsageError('give --network or --backbone, not both')
    if pretrained and weights is not None:
        raise UsageError('give --pretrained or --weights, not both')
    if (pretrained or weights is not None) and backbone is None:
        raise UsageError('--pretrained and --weights need --backbone timm/NAME or --backbone torchvision/NAME')
    if freeze and not pretrained and weights is None:
        raise UsageError('--freeze needs a pretrained backbone: --pretrained or --weights')


def check_folder(out: Path, pictures: Path) -> None:
    """Refuse a work dir that would mix with other files.

    Raises:
        ValueError: It is in the folder of pictures, or has checkpoints of another run.
    """
    if out.is_relative_to(pictures):
        raise ValueError(f'{out} is in the folder of pictures {pictures}, where its figures would be pictures too.')
    if found := sorted(each.name for each in out.glob('*.pth')):
        raise ValueError(f'{out} has no {CONFIG}, but the checkpoint {found[0]} of another run. Give another --out.')


def own_canvases(config: Path) -> str | None:
    """The canvases beside a config that reads canvases from its folder at the time; the folder may have been moved."""
    from mmengine.config import Config

    dataset, canvases = Config.fromfile(config).train_dataloader.dataset, config.parent / CANVASES
    reads = dataset.type == 'CanvasShards' and Path(dataset.data_root).name == CANVASES and canvases.is_dir()
    return str(canvases) if reads else None


def is_finished(config: Path, checkpoint: Path) -> bool:
    """Whether a checkpoint is the last one of its training."""
    from mmengine.config import Config

    return checkpoint.stem == f'epoch_{Config.fromfile(config).train_cfg.max_epochs}'


def make_config(request: 'Request', out: Path, started: float) -> str:
    """Choose settings, measure, and print both; returns the config.

    Args:
        request: What the user asked for.
        out: The work dir.
        started: When the command was started, by ``time.perf_counter``.

    Raises:
        ValueError: The request or the pictures do not fit.
        FileNotFoundError: There are no pictures.
    """
    import torch
    from mmengine.config import Config
    from mmengine.registry import DefaultScope

    from looc_mm import machine
    from looc_mm.datasets.broken import LIST, SHARE, check_share, list_broken
    from looc_mm.datasets.pack import pack_canvases
    from looc_mm.engine.launch import slow_without_gpu
    from looc_mm.pretraining.backbone import find_backbone
    from looc_mm.pretraining.config import SPACES, config_text, title
    from looc_mm.pretraining.measure import LIMIT, STEPS, measure_speed
    from looc_mm.pretraining.pictures import find_pictures
    from looc_mm.pretraining.settings import Facts, Network, Schedule, choose, fit_schedule, worth_packing

    found = find_pictures(request.pictures)
    show(found.lines())
    gpu, minutes = not machine.on_cpu(), request.minutes
    facts = Facts(
        pictures=found.count - len(found.unreadable),
        short_side=found.short_side,
        gpu=gpu,
        bfloat16=gpu and torch.cuda.is_bf16_supported(),
        memory=machine.memory(),
        cores=machine.cores(),
        minutes=minutes,
    )
    device = f'{machine.device_name()}, {facts.memory:.0f} GiB, {facts.cores} cores' + ('' if gpu else ', no GPU')
    network: str | Network | None = request.network
    if request.backbone is not None:
        network = find_backbone(request.backbone, bool(request.pretrained), request.weights)
    settings = choose(facts, network, request.size)
    method = {'method': title(SPACES if request.spaces is None else request.spaces), 'flip': flip_line(request)}
    show({'device': device, **method, **settings.lines(), **start_lines(settings.network.pretrained, request)})
    schedule = Schedule(request.epochs or settings.epochs, found.count // settings.batch)

    canvases: Path | None = None

    def text(schedule: Schedule, checkpoints: int = 1) -> str:
        return config_text(request, found.folder, out, settings, schedule, checkpoints, canvases)

    def left() -> float | None:
        return None if minutes is None else 60 * minutes - (time.perf_counter() - started)

    tried = Config.fromstring(text(schedule), '.py')
    if warning := slow_without_gpu(tried):
        print(f'WARNING: {warning}')
    print(f'Measuring the speed on {STEPS} steps ...', flush=True)
    limit = LIMIT if minutes is None else min(LIMIT, 6 * minutes)  # a tenth of the time
    speed = measure_speed(tried, limit)
    a_pass = schedule.steps * speed.step
    passes = schedule.epochs if minutes is None else (left() or 0) / a_pass
    if worth_packing(speed.step, speed.ready, passes):
        share = f'{100 - 100 * speed.ready / speed.step:.0f} % of a step'
        show({'canvases': f'loading takes {share}, so the pictures are decoded once, to {out / CANVASES}'})
        with DefaultScope.overwrite_default_scope('looc_mm'):
            packed = pack_canvases(tried.train_dataloader.dataset, out / CANVASES, workers=facts.cores)
        if packed.broken:
            list_broken(packed.broken, out / LIST)
            print(f'WARNING: {len(packed.broken):,} broken pictures are left out; {out / LIST} lists them.')
            check_share(len(packed.broken), packed.steps, SHARE, out / LIST, 'train with "looc train" and --canvases')
        canvases = out / CANVASES
        speed = measure_speed(Config.fromstring(text(schedule), '.py'), limit)
    if (budget := left()) is not None:
        schedule = fit_schedule(found.count, settings.batch, speed.step, budget)
    show(time_lines(request, found.count, settings, schedule, speed.step))
    if schedule.epochs * schedule.steps < FEW_STEPS:
        print(f'WARNING: fewer than {FEW_STEPS} steps. Spaces have learnt in trainings of 700 steps and more.')
    epoch = schedule.seconds(speed.step) / schedule.epochs
    return text(schedule, min(schedule.epochs, max(1, round(SAVE_EVERY / epoch))))


def flip_line(request: 'Request') -> str:
    """Whether pictures are mirrored, and how to change it."""
    if request.flip is False:
        return 'pictures are not mirrored, as asked'
    return 'pictures are mirrored; --no-flip where left and right differ, as in text, signs and hands'


def start_lines(pretrained: bool, request: 'Request') -> dict[str, str]:
    """How a pretrained backbone is trained, by topic."""
    from looc_mm.pretraining.config import BACKBONE_RATE

    if request.freeze:
        return {'backbone': 'does not change: the heads alone are trained'}
    rate = f'{BACKBONE_RATE:g} of the learning rate, after a tenth of the steps, in which the heads alone are trained'
    return {'backbone': rate} if pretrained else {}


def time_lines(
    request: 'Request', pictures: int, settings: 'Settings', schedule: 'Schedule', step: float
) -> dict[str, str]:
    """How long it takes, by topic."""
    seconds = schedule.seconds(step)
    if request.minutes is not None:
        why = f'--minutes {request.minutes:g}, the start included'
    else:
        why = f'--epochs {request.epochs}' if request.epochs else 'by the number of pictures; or give --minutes'
    share = ''
    if schedule.pictures is not None:
        share = f' ({schedule.pictures:,} pictures, {schedule.pictures / pictures:.2g} of a pass, to end in time)'
    hours = f' ({seconds / 3600:.1f} hours)' if seconds > 5400 else ''
    end = time.strftime('%a %H:%M', time.localtime(time.time() + seconds))
    return {
        'speed': f'{settings.batch / step:,.0f} pictures/s, {step:.3g} s a step',
        'epochs': f'{schedule.epochs} of {schedule.steps} steps{share}: {why}',
        'to go': f'{seconds / 60:.1f} minutes{hours}, until {end}',
    }


def show(lines: dict[str, str]) -> None:
    """Print topics and what is said about them."""
    for topic, text in lines.items():
        print(f'{topic.capitalize():<10} {text}', flush=True)
