"""The config of a pretraining on a folder, as a page that a user reads and goes on from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from looc_mm.augmentations.base import AtomicAugmentation
from looc_mm.configs import ROOT
from looc_mm.files import folder_name
from looc_mm.registry import AUGMENTATIONS

from .settings import Schedule, Settings

#: Augmentations that are there for their space only, and how much of the pictures they change.
OWNERS = {
    'rotation': dict(type='RandomRightAngleRotation', prob=0.75),
    'texture': dict(type='RandomConvTexture', prob=0.5),
}
COLOR = dict(type='ColorJitter')
#: Learning rate of a pretrained backbone, as a share of that of the heads.
BACKBONE_RATE = 0.1
SPACES = ('rotation', 'color')


@dataclass(frozen=True)
class Request:
    """What a user asked for; None where the user left the choice.

    Attributes:
        pictures: The folder, absolute.
        spaces: Names.
        minutes: Budget.
        epochs: Passes over the pictures.
        network: A key of ``NETWORKS``.
        backbone: Another network: 'timm/NAME' or 'torchvision/NAME'.
        pretrained: Whether the backbone starts with timm's pretrained weights.
        weights: A file or folder of weights, absolute, with which the backbone starts.
        freeze: Whether only the heads are trained.
        size: Side of a view, in pixels.
        flip: Whether pictures are mirrored.
        seed: Of the training.
    """

    pictures: str
    spaces: Sequence[str] | None = None
    minutes: float | None = None
    epochs: int | None = None
    network: str | None = None
    backbone: str | None = None
    pretrained: bool | None = None
    weights: str | None = None
    freeze: bool | None = None
    size: int | None = None
    flip: bool | None = None
    seed: int | None = None

    def given(self) -> dict[str, Any]:
        """What is not left open."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def space_owners() -> dict[str, dict[str, Any]]:
    """The config of the augmentation that owns each space: looc_mm's, and those of plug-ins."""
    AUGMENTATIONS.import_from_location()
    found: dict[str, dict[str, Any]] = {}
    for name, kind in sorted(AUGMENTATIONS.module_dict.items()):
        space = getattr(kind, 'name', None)
        theirs = issubclass(kind, AtomicAugmentation) and not kind.__module__.startswith('looc_mm.')
        if theirs and kind.owns_space and isinstance(space, str):
            found[space] = dict(type=name)
    return {**found, **OWNERS, 'color': COLOR}


def check_spaces(spaces: Sequence[str]) -> tuple[str, ...]:
    """The names of the spaces; ``none`` is MoCo's empty list.

    Raises:
        ValueError: A space is unknown or given twice.
    """
    if isinstance(spaces, str):
        raise ValueError(f'Got spaces={spaces!r}; give a list, [{spaces!r}].')
    if list(spaces) == ['none']:
        return ()
    allowed = sorted(space_owners())
    if unknown := [name for name in spaces if name not in allowed]:
        raise ValueError(
            f'No augmentation owns the space {", ".join(map(repr, unknown))}. Allowed are {", ".join(allowed)}, and '
            f'"none" alone for MoCo; --plugin FILE.py adds an augmentation of yours.'
        )
    if len(set(spaces)) < len(spaces):
        raise ValueError(f'Got a space twice: {", ".join(spaces)}.')
    return tuple(spaces)


def augmentations(spaces: Sequence[str], size: int, flip: bool) -> list[dict[str, Any]]:
    """The list of augmentations: an augmentation other than MoCo's is in it only if its space is chosen."""
    owners = space_owners()
    return [
        dict(type='RandomResizedCrop', size=size, scale=(0.4, 1.0)),
        *([dict(type='HorizontalFlip')] if flip else []),
        *(owners[space] for space in owners if space in spaces and space != 'color'),
        COLOR,
        dict(type='GaussianBlur', sigma=(0.1, round(2 * size / 224, 1))),  # MoCo's, for the size of the views
    ]


def config_text(
    request: Request,
    folder: Path,
    out: Path,
    settings: Settings,
    schedule: Schedule,
    checkpoints: int,
    canvases: Path | None = None,
) -> str:
    """The config, as Python.

    Args:
        request: What the user asked for.
        folder: Where pictures are read from.
        out: The work dir.
        settings: How to train.
        schedule: How long.
        checkpoints: Epochs between two checkpoints.
        canvases: Where the pictures were written as canvases; None to read the pictures.
    """
    spaces = check_spaces(SPACES if request.spaces is None else request.spaces)
    network = settings.network
    tuned = network.pretrained and not request.freeze
    listed = '\n'.join(
        f'                {_call(each)},' for each in augmentations(spaces, settings.size, flips(request))
    )
    sampler = dict(type='DefaultSampler', shuffle=True)
    if schedule.pictures is not None:
        sampler = dict(type='PartialEpochs', pictures=schedule.pictures, shuffle=True)
    wrapper = dict(type='AutocastOptimWrapper') if settings.amp else dict(type='OptimWrapper')
    load = _call(dict(type='LoadCanvas', size=settings.canvas, ignore_broken=True))
    steps = f"pipeline=[{load}, dict(type='PackCanvas')],"
    source = f"type='ImageFolder',\n        data_root={str(folder)!r},\n        {steps}"
    if canvases is not None:
        source = f"type='CanvasShards', data_root={str(canvases)!r}, pipeline=[dict(type='PackCanvas')],"
    given = {key: each for key in ('mean', 'std') if (each := getattr(network, key)) is not None}
    statistics = ''.join(f'\n        {key}={each!r},' for key, each in given.items())
    optimizer = _call(dict(type='AdamW', lr=settings.lr, weight_decay=0.01))
    decay = ''
    if tuned:
        rates = _call(dict(custom_keys={'backbone.': dict(lr_mult=BACKBONE_RATE)}))
        decay = f'\n    paramwise_cfg={rates},  # what is pretrained changes slowly'
    first = dict(type='HeadsFirst', steps=max(1, round(schedule.epochs * schedule.steps / 10)))
    hooks = f'custom_hooks = [{_call(first)}]  # a tenth of the steps\n' if tuned else ''
    freeze = '\n    freeze_backbone=True,  # the heads alone are trained' if request.freeze else ''
    runtime = (ROOT / 'configs/_base_/default_runtime.py').read_text().strip()
    return f"""\
# {title(spaces)} on {folder}, written by "looc pretrain".
# Change it and go on: looc train {out / 'config.py'} --work-dir ANOTHER
# A second "looc pretrain" compares its options with these:
asked = {_call(request.given())}
work_dir = {str(out)!r}
experiment_name = {f'{"looc" if spaces else "moco"}_{network.name}_{folder_name(folder)}'!r}

model = dict(
    type='MultiHeadMoCo',
    momentum=0.99,
    data_preprocessor=dict(
        type='LeaveOneOutPreprocessor',{statistics}
        pipeline=dict(
            type='LeaveOneOutPipeline',
            augmentations=[
{listed}
            ],
            leave_one_out={list(spaces)!r},
        ),
    ),
    backbone={_call(network.backbone)},{freeze}
    neck=dict(
        type='QueuePerHeadNeck', in_channels={network.width}, hid_channels={network.hidden}, queue_len={settings.batch}
    ),
    head=dict(type='LooCLoss', temperature=0.1, mask_false_negatives=True),
)

train_dataloader = dict(
    batch_size={settings.batch},
    num_workers={settings.workers},
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler={_call(sampler)},{'  # an epoch is not a pass' if schedule.pictures else ''}
    dataset=dict(
        {source}
    ),
)

optim_wrapper = dict(
    type={wrapper['type']!r},
    optimizer={optimizer},{decay}
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs={schedule.epochs})
auto_scale_lr = dict(base_batch_size={settings.batch})
{hooks}
# What follows is configs/_base_/default_runtime.py of looc_mm.
{runtime}

# What differs from it.
default_hooks['checkpoint']['interval'] = {checkpoints}
randomness = dict(seed={request.seed or 0})
"""


def flips(request: Request) -> bool:
    """Whether pictures are mirrored."""
    return request.flip is not False


def title(spaces: Sequence[str]) -> str:
    """The method."""
    return f'LooC with the spaces {", ".join(spaces)}' if spaces else 'MoCo v2, without a space'


def read_request(path: Path) -> Request:
    """What the run of a config was asked for.

    Raises:
        ValueError: "looc pretrain" did not write it.
    """
    asked = Config.fromfile(path).get('asked')
    if asked is None:
        raise ValueError(f'{path} is not a config of "looc pretrain" (it has no `asked`): give another --out.')
    return Request(**asked.to_dict())


def check_same(now: Request, path: Path) -> Request:
    """The request of an earlier call, which a second call continues.

    Args:
        now: Of this call. What it leaves open may have been given.
        path: The config of the earlier call.

    Raises:
        ValueError: The two differ.
    """
    then = read_request(path)
    old = then.given()
    different = {key: value for key, value in now.given().items() if _shown(value) != _shown(old.get(key))}
    if different:
        listed = '; '.join(f'{key}: {_shown(old.get(key))} then, {_shown(new)} now' for key, new in different.items())
        raise ValueError(
            f'{path} was written for other settings ({listed}). Leave the options out to continue that run, or give '
            f'another --out for a new one.'
        )
    return then


def _shown(value: Any) -> str:
    """An option as it is written on the command line."""
    if isinstance(value, list | tuple):
        return ' '.join(value) or 'none'
    if isinstance(value, float):
        return f'{value:g}'
    return 'not given' if value is None else str(value)


def _call(values: Mapping[str, Any]) -> str:
    """A dict as ``dict(key=value)``."""
    return f'dict({", ".join(f"{key}={value!r}" for key, value in values.items())})'
