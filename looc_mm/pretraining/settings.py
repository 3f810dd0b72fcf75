"""Which settings suit some pictures, a device and a budget: a pure function.

The regime is that of configs/looc/looc_r18_imagenette.py: easy crops, all four right angles, short queues, AdamW.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Sides of views, in pixels.
SIDES = (224, 160, 128, 96, 64, 48, 32)
#: A longer training on a CPU has larger views.
LONG_ON_CPU = 10.0  # minutes
#: A shorter training on a GPU has smaller views, and no ResNet-50.
LONG_ON_GPU = 60.0  # minutes
#: Pictures from which on a GPU trains ResNet-50.
MANY = 20_000
#: Batch of the recipe, on a CPU and on a GPU.
BATCH = {False: 64, True: 256}
#: Pictures that a training sees in all, where neither minutes nor epochs are given, on a CPU and on a GPU.
SEEN = {False: 200_000, True: 20_000_000}
#: Fewest and most epochs of such a training, on a CPU and on a GPU.
EPOCHS = {False: (5, 200), True: (50, 400)}
#: Passes over the pictures from which on a budget is a whole number of epochs.
PASSES = 10
#: Pictures are decoded once if a step on a loaded batch takes less than this share of a step ...
READY_SHARE = 0.6
#: ... and the training has more passes than this.
PACKED_PASSES = 2


@dataclass(frozen=True)
class Network:
    """A backbone.

    Attributes:
        name: Short, without spaces.
        title: For people.
        backbone: Its config.
        width: Channels of its output.
        hidden: Hidden width of a projection head.
        memory: Peak memory of a LooC step with two spaces for one picture with views of 224 px in bfloat16, in MiB:
            measured for ResNet-50 (docs/performance.md), for ResNet-18 by the ratio of the activations.
        mean: Per RGB channel, for values in [0, 1]; None for ImageNet's.
        std: As ``mean``.
        side: Of the views, in pixels; None to choose.
        pretrained: Whether it starts with pretrained weights.
    """

    name: str
    title: str
    backbone: dict[str, Any]
    width: int
    hidden: int
    memory: float
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    side: int | None = None
    pretrained: bool = False


_NETWORKS = (
    Network(
        'resnet18-narrow',
        'ResNet-18 with a quarter of its channels',
        dict(type='ResNet', depth=18, stem_channels=16, base_channels=16),
        width=128,
        hidden=512,
        memory=3,
    ),
    Network('resnet18', 'ResNet-18', dict(type='ResNet', depth=18), width=512, hidden=512, memory=11),
    Network(
        'resnet50',
        'ResNet-50',
        dict(type='ResNet', depth=50, zero_init_residual=False),
        width=2048,
        hidden=2048,
        memory=47,
    ),
)
NETWORKS = {network.name: network for network in _NETWORKS}


@dataclass(frozen=True)
class Facts:
    """What the settings depend on.

    Attributes:
        pictures: Their number.
        short_side: Median of the pictures' shorter side, in pixels.
        gpu: Whether there is one.
        bfloat16: Whether the GPU has bfloat16.
        memory: Of the GPU, or of the machine without one, in GiB.
        cores: Of the processor.
        minutes: Budget; None for none.
    """

    pictures: int
    short_side: int
    gpu: bool
    bfloat16: bool
    memory: float
    cores: int
    minutes: float | None = None


@dataclass(frozen=True)
class Settings:
    """How to train.

    Attributes:
        network: The backbone.
        size: Side of a view, in pixels.
        canvas: Side of a canvas, from which views are cropped, in pixels.
        batch: Pictures of a step, and keys of a queue.
        workers: Processes that decode.
        amp: Whether the forward pass runs in bfloat16.
        lr: Learning rate of AdamW.
        epochs: Where neither minutes nor epochs are given.
        reasons: Why, by the topic.
    """

    network: Network
    size: int
    canvas: int
    batch: int
    workers: int
    amp: bool
    lr: float
    epochs: int
    reasons: Mapping[str, str] = field(compare=False)

    def lines(self) -> dict[str, str]:
        """What a user wants to know, by topic."""
        return {
            'network': f'{self.network.title}: {self.reasons["network"]}',
            'views': f'{self.size} x {self.size} px, from canvases of {self.canvas} px: {self.reasons["views"]}',
            'batch': f'{self.batch} pictures, queues of {self.batch} keys: {self.reasons["batch"]}',
            'workers': f'{self.workers}: {self.reasons["workers"]}',
            'precision': f'{"bfloat16" if self.amp else "float32"}: {self.reasons["precision"]}',
            'optimizer': f'AdamW, learning rate {self.lr}: 0.001 at 64 pictures, by the root of the batch; cosine',
        }


def choose(facts: Facts, network: str | Network | None = None, size: int | None = None) -> Settings:
    """Choose settings.

    Args:
        facts: Of the pictures, the machine and the budget.
        network: A key of ``NETWORKS``, or another backbone; None to choose.
        size: Side of a view, in pixels; None to choose.

    Raises:
        ValueError: There are fewer than 8 pictures, the network is unknown, the size is too small, or memory does not
            suffice for a batch of 8.
    """
    if facts.pictures < 8:
        raise ValueError(f'Got {facts.pictures} pictures; a training needs at least 8, and learns from thousands.')
    if isinstance(network, str) and network not in NETWORKS:
        raise ValueError(f'Got the network {network!r}; allowed are {", ".join(NETWORKS)}.')
    if size is not None and size < SIDES[-1]:
        raise ValueError(f'Got views of {size} px; a network of these needs at least {SIDES[-1]}.')
    reasons = {}
    if network is None:
        network, reasons['network'] = _network(facts)
    else:
        reasons['network'] = 'as asked'
    chosen = NETWORKS[network] if isinstance(network, str) else network
    if size is None and chosen.side is not None:
        size, reasons['views'] = chosen.side, 'the size of the pretrained weights; a smaller --size is faster'
    elif size is None:
        size, reasons['views'] = _size(facts)
    else:
        reasons['views'] = 'as asked'
    amp = facts.gpu and facts.bfloat16
    if amp:
        reasons['precision'] = 'the GPU has it'
    elif facts.gpu:
        reasons['precision'] = 'the GPU has no bfloat16'
    else:
        reasons['precision'] = 'on a CPU; bfloat16 without hardware for it is 7 times slower'
    batch, reasons['batch'] = _batch(facts, chosen, size, amp)
    workers = min(16, facts.cores - 1) if facts.gpu else min(4, facts.cores // 2)
    workers = max(1, workers)
    reasons['workers'] = f'of {facts.cores} cores, to decode beside the ' + ('GPU' if facts.gpu else 'training')
    low, high = EPOCHS[facts.gpu]
    return Settings(
        network=chosen,
        size=size,
        canvas=8 * math.ceil(size / 6),  # 4/3 of the view
        batch=batch,
        workers=workers,
        amp=amp,
        lr=float(f'{0.001 * math.sqrt(batch / 64):.2g}'),
        epochs=min(high, max(low, math.ceil(SEEN[facts.gpu] / facts.pictures))),
        reasons=reasons,
    )


def _network(facts: Facts) -> tuple[str, str]:
    if not facts.gpu:
        return 'resnet18-narrow', 'there is no GPU'
    if facts.minutes is not None and facts.minutes < LONG_ON_GPU:
        return 'resnet18', f'less than {LONG_ON_GPU:.0f} minutes on a GPU'
    if facts.pictures < MANY:
        return 'resnet18', f'fewer than {MANY:,} pictures'
    if facts.memory < 8:
        return 'resnet18', f'the GPU has {facts.memory:.0f} GiB, less than 8'
    return 'resnet50', f'a GPU and at least {MANY:,} pictures'


def _size(facts: Facts) -> tuple[int, str]:
    if facts.gpu:
        short = facts.minutes is not None and facts.minutes < LONG_ON_GPU
        most, why = (128, f'less than {LONG_ON_GPU:.0f} minutes on a GPU') if short else (224, 'there is a GPU')
    else:
        short = facts.minutes is not None and facts.minutes < LONG_ON_CPU
        most = 48 if short else 64
        why = f'{"less than" if short else "at least" if facts.minutes else "no limit below"} {LONG_ON_CPU:.0f} minutes'
        why += ' on a CPU'
    fit = [side for side in SIDES if side <= max(facts.short_side, SIDES[-1])]
    if fit[0] < most:
        return fit[0], f'the shorter sides of the pictures have {facts.short_side} px in the median'
    return most, why


def _batch(facts: Facts, network: Network, size: int, amp: bool) -> tuple[int, str]:
    """The largest power of two that the recipe, the pictures and the memory allow."""
    each = network.memory * (size / 224) ** 2 * (1 if amp else 2)  # MiB
    limits = {
        'as in the recipe': BATCH[facts.gpu],
        f'there are {facts.pictures} pictures': facts.pictures,
        f'half of {facts.memory:.0f} GiB of memory': math.floor(0.5 * facts.memory * 1024 / each),
    }
    why = min(limits, key=limits.__getitem__)
    if limits[why] < 8:
        raise ValueError(
            f'{facts.memory:.1f} GiB of memory do not suffice for 8 pictures with views of {size} px and '
            f'{network.name}: choose a smaller network or size.'
        )
    return 2 ** math.floor(math.log2(limits[why])), why


@dataclass(frozen=True)
class Schedule:
    """How long to train.

    Attributes:
        epochs: Of the training loop.
        steps: Of an epoch.
        pictures: Of an epoch, where an epoch is not a pass over all pictures; else None.
    """

    epochs: int
    steps: int
    pictures: int | None = None

    def seconds(self, step: float) -> float:
        """Of the training, where a step takes ``step`` seconds."""
        return self.epochs * self.steps * step


def fit_schedule(pictures: int, batch: int, step: float, budget: float) -> Schedule:
    """The schedule that a budget allows.

    From 10 passes over the pictures on, it is the nearest number of epochs. A shorter training has 10 equal epochs that
    are not passes over all pictures, so that it ends in time.

    Args:
        pictures: Their number.
        batch: Pictures of a step.
        step: Seconds of a step.
        budget: Seconds of the training; it has at least 10 steps.
    """
    steps = pictures // batch
    total = max(PASSES, math.floor(budget / step))
    if total >= PASSES * steps:
        return Schedule(round(total / steps), steps)
    return Schedule(PASSES, total // PASSES, total // PASSES * batch)


def worth_packing(step: float, ready: float, passes: float) -> bool:
    """Whether to decode all pictures once, to small canvases: it takes about as long as the loading of one pass.

    Args:
        step: Seconds of a step.
        ready: The same with a batch that is loaded already.
        passes: Over the pictures, in the time of the training.
    """
    return ready < READY_SHARE * step and passes > PACKED_PASSES
