"""Which representation of a pretraining to use on labelled pictures, against baselines without any training.

Shapes: N training pictures, M test pictures, C feature width.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from looc_mm.checkpoint import build_model, find_checkpoint, load_weights, read_checkpoint
from looc_mm.datasets.transforms import one_thread
from looc_mm.evaluation import Features, FeatureSource, FewShotProbe, KNNProbe, LinearClassifier, Score
from looc_mm.evaluation.features import FeatureSet
from looc_mm.export.features import default_device, view_size
from looc_mm.files import atomic_write
from looc_mm.visualization import draw_answer

from .baselines import HISTOGRAM, HOG, describe
from .compare import BASELINES, RANDOM, conclude, wilson
from .labelled import Labelled, LabelledPictures, Split, hold_out, read_labelled

LABEL = 'gt_label'
SHOTS = 5
NEIGHBOURS = 20
#: Sizes that are tried, as multiples of the side of the training's views.
MULTIPLES = (1.0, 1.5, 2.0)


@dataclass(frozen=True)
class Row:
    """One representation on the test pictures; accuracies are top-1 in percent.

    Attributes:
        name: Of the representation.
        width: C.
        linear: Of a linear classifier.
        linear_interval: Its 95 % interval (Wilson's, where each group of pictures counts as one).
        knn: Of the vote of the 20 nearest training pictures.
        knn_interval: As ``linear_interval``.
        few_shot: Of a linear classifier from 5 pictures of a class, the mean of ten draws.
        few_shot_ci: Half of the 95 % interval over these draws.
        p: Adjusted p of the comparison of ``linear`` with V's; None for V.
        verdict: 'better', 'no difference' or 'worse' than V; None for V.
        learnt: False for a space that was not learning when its training ended.
    """

    name: str
    width: int
    linear: float
    linear_interval: tuple[float, float]
    knn: float
    knn_interval: tuple[float, float]
    few_shot: float
    few_shot_ci: float
    p: float | None
    verdict: str | None
    learnt: bool


@dataclass(frozen=True)
class Answer:
    """The result of :func:`answer`, as answer.json has it.

    Attributes:
        sentence: What to do, by the rules of :func:`looc_mm.answer.compare.conclude`.
        checkpoint: File.
        experiment: Name of the training config; None if the file has none.
        epoch: Finished epochs; None if the file has none.
        dataset: Name of the labelled folder.
        classes: Names.
        train: Number of training pictures.
        test: Number of test pictures.
        groups: Number of groups of the test pictures.
        split: How the pictures were split.
        size: Side of the views in pixels, for every representation of the network.
        sizes: Linear top-1 of V at each size, on a held-out fifth of the training pictures; empty where one was given.
        guess: Top-1 of the most frequent class of the training pictures.
        not_learnt: Spaces that were not learning when their training ended.
        seed: Of the splits, the random weights and the few-shot draws.
        rows: The representations.
    """

    sentence: str
    checkpoint: str
    experiment: str | None
    epoch: int | None
    dataset: str
    classes: tuple[str, ...]
    train: int
    test: int
    groups: int
    split: str
    size: int
    sizes: Mapping[int, float]
    guess: float
    not_learnt: list[str]
    seed: int
    rows: list[Row]

    def table(self) -> str:
        """The representations, what they were computed on, and the sentence, as text."""
        head = ['representation', 'width', 'linear', '95 %', f'{NEIGHBOURS}-NN', '95 %', f'{SHOTS}-shot', 'p against V']
        lines = [
            [
                each.name + ('' if each.learnt else ' (not learnt)'),
                str(each.width),
                f'{each.linear:.1f}',
                '{:.1f} to {:.1f}'.format(*each.linear_interval),
                f'{each.knn:.1f}',
                '{:.1f} to {:.1f}'.format(*each.knn_interval),
                f'{each.few_shot:.1f} ± {each.few_shot_ci:.1f}',
                '' if each.p is None else ('<0.001' if each.p < 0.001 else f'{each.p:.3f}') + f' {each.verdict}',
            ]
            for each in self.rows
        ]
        widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
        text = [
            '  '.join(
                cell.ljust(width) if column in (0, len(head) - 1) else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in [head, *lines]
        ]
        tried = ', '.join(f'{size} px {value:.1f}' for size, value in self.sizes.items())
        about = [
            f'{self.dataset}: {self.train} training and {self.test} test pictures of {len(self.classes)} classes, '
            f'{self.split}.',
            f'Checkpoint: {self.checkpoint}',
            f'Views of {self.size} px'
            + (f', the best for V on a held-out fifth of the training pictures ({tried}).' if tried else '.'),
            f'Top-1 in %; guessing the most frequent class gives {self.guess:.1f}. The p compare the linear top-1 with '
            f'V on the same pictures.',
        ]
        if self.not_learnt:
            about.append(f'Not learnt by the end of the training: {", ".join(self.not_learnt)}.')
        return '\n'.join([*about, '', *text, '', self.sentence])


def answer(
    run: str | Path,
    labelled: str | Path,
    out: str | Path | None = None,
    *,
    sizes: Sequence[int] = (),
    group: str | None = None,
    seed: int = 0,
    batch_size: int = 64,
    workers: int = 0,
    device: str | None = None,
    amp: bool = False,
    trust_checkpoint: bool = False,
) -> Answer:
    """Compare V, spaces and baselines on labelled pictures; writes answer.json and answer.png.

    Args:
        run: A work dir, whose last checkpoint is taken, or a checkpoint.
        labelled: ``{train,val}/<class>/`` or ``<class>/``; see :func:`looc_mm.answer.labelled.read_labelled`.
        out: Folder of the results; by default ``answer_<name of the labelled folder>`` beside the checkpoint.
        sizes: Sides of the views in pixels to choose from; by default 1, 1.5 and 2 times the training's.
        group: A regex whose first group names what a picture shows, so that it is on one side of a split only.
        seed: Of the splits, the random weights and the few-shot draws.
        batch_size: Pictures at a time.
        workers: Processes, and threads of the baselines, that decode.
        device: Where the network runs; by default the GPU, if there is one.
        amp: Whether features are extracted under autocast.
        trust_checkpoint: Whether the checkpoint may run code on loading.

    Raises:
        FileNotFoundError: The run or the folder is missing.
        ValueError: The checkpoint or the folder does not fit, a picture cannot be decoded, or there are too few.
    """
    path = find_checkpoint(run)
    checkpoint = read_checkpoint(path, trust_checkpoint)
    model = build_model(checkpoint)
    load_weights(model, checkpoint)
    data = read_labelled(labelled, group, seed)
    check_numbers(data)
    device = device or default_device()
    side = 0 if sizes else view_size(model)
    tried = sorted({*sizes} or {round(side * multiple) for multiple in MULTIPLES})
    fixed = {
        split: describe(each.paths, device, batch_size, workers) for split, each in _splits(data)
    }  # first, because it names a broken picture at once

    def source(network: nn.Module, size: int) -> FeatureSource:
        loaders: dict[str, DataLoader | dict] = {
            split: DataLoader(
                LabelledPictures(each, size),
                min(batch_size, len(each.paths)),
                num_workers=workers,
                worker_init_fn=one_thread if workers else None,
            )
            for split, each in _splits(data)
        }
        return FeatureSource(network.to(device), loaders, name=data.name, amp=amp, states=checkpoint.states)

    sources = {size: source(model, size) for size in tried}
    held_out = {}
    if len(tried) > 1:
        held_out = {size: held_out_accuracy(each, data, seed) for size, each in sources.items()}
    size = max(held_out, key=held_out.__getitem__) if held_out else tried[0]
    trained = sources[size]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        untrained = source(random_weights(build_model(checkpoint)), size)
    found = {split: trained.feature_set(split) for split, _ in _splits(data)}
    random = {split: untrained.features(split) for split, _ in _splits(data)}
    features = dict(combinations(found['train'].spaces, found, random, fixed))

    hits: dict[str, Tensor] = {}
    scores: dict[str, tuple[float, Score, Score]] = {}
    for name, (train, test) in tqdm(features.items(), desc='comparisons', leave=False):
        hits[name], linear, knn, few_shot = probe(train, test, len(data.classes), seed)
        scores[name] = linear, knn, few_shot
    groups = data.test.groups
    guess = data.test.labels == data.train.labels.bincount().argmax()
    conclusion = conclude(hits, guess, groups)
    count = len(groups.unique())
    rows = []
    for name, (linear, knn, few_shot) in scores.items():
        rows.append(
            Row(
                name=name,
                width=features[name][0].x.shape[1],
                linear=linear,
                linear_interval=wilson(linear, count),
                knn=knn.value,
                knn_interval=wilson(knn.value, count),
                few_shot=few_shot.value,
                few_shot_ci=few_shot.ci or 0.0,
                p=conclusion.p.get(name),
                verdict=conclusion.verdicts.get(name),
                learnt=not any(name.endswith(f'Z_{space}') for space in trained.not_learnt),
            )
        )
    result = Answer(
        sentence=conclusion.sentence,
        checkpoint=str(path),
        experiment=checkpoint.experiment,
        epoch=checkpoint.epoch,
        dataset=data.name,
        classes=data.classes,
        train=len(data.train.paths),
        test=len(data.test.paths),
        groups=count,
        split=data.note,
        size=size,
        sizes=held_out,
        guess=100 * guess.double().mean().item(),
        not_learnt=trained.not_learnt,
        seed=seed,
        rows=rows,
    )
    write(result, Path(out) if out else path.parent / f'answer_{data.name}')
    return result


def check_numbers(data: Labelled) -> None:
    """Make sure that every protocol has enough training pictures.

    Raises:
        ValueError: There are fewer.
    """
    counts = data.train.labels.bincount(minlength=len(data.classes)).tolist()
    few = [f'{name} ({count})' for name, count in zip(data.classes, counts, strict=True) if count < SHOTS]
    if few:
        raise ValueError(
            f'Each class needs at least {SHOTS} training pictures; these have fewer: {", ".join(few)}. Add pictures, '
            f'or leave the classes out.'
        )
    if sum(counts) <= NEIGHBOURS:
        raise ValueError(f'Got {sum(counts)} training pictures; give more than {NEIGHBOURS}.')


def held_out_accuracy(source: FeatureSource, data: Labelled, seed: int) -> float:
    """Linear top-1 of V in percent, on a fifth of the training pictures, fitted on the others."""
    train = source.features('train')
    kept, held = hold_out(data.train, data.classes, seed)
    fitted = LinearClassifier().fit(train.x[kept], train.labels[LABEL][kept].to(train.x.device), len(data.classes))
    right = fitted.predict(train.x[held]).argmax(1) == train.labels[LABEL][held]
    return 100 * right.double().mean().item()


def random_weights(model: Any) -> nn.Module:
    """A network before any training: weights that its config reads from files are drawn too."""
    for module in model.modules():
        init = getattr(module, 'init_cfg', None)
        if init is not None:
            kept = [each for each in (init if isinstance(init, list) else [init]) if each.get('type') != 'Pretrained']
            module.init_cfg = kept
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('ERROR')  # it prints a paragraph for each weight
    try:
        model.init_weights()
    finally:
        logger.setLevel(level)
    return model.eval()


def combinations(
    spaces: Sequence[str],
    found: Mapping[str, FeatureSet],
    random: Mapping[str, Features],
    fixed: Mapping[str, Mapping[str, Tensor]],
) -> Iterator[tuple[str, tuple[Features, Features]]]:
    """Every representation that is compared, by name: (training features, test features).

    Args:
        spaces: Names of the spaces, the invariant one first.
        found: Of the trained network, for both splits.
        random: V of random weights.
        fixed: Colour histogram and HOG.
    """
    labels = {split: each.labels for split, each in found.items()}
    parts: dict[str, dict[str, Tensor]] = {}  # name -> split -> N x C
    parts[RANDOM] = {split: each.x for split, each in random.items()}
    for name in (HISTOGRAM, HOG):
        parts[name] = {split: fixed[split][name].to(parts[RANDOM][split].device) for split in found}
    parts['V'] = {split: each.select(['V']).x for split, each in found.items()}
    for space in spaces:
        parts[f'Z_{space}'] = {split: each.parts[space] for split, each in found.items()}
    if len(spaces) > 1 and 'V' in found['train'].parts:  # V of LooC++ is all spaces
        parts['all spaces'] = {split: each.select(spaces).x for split, each in found.items()}
    stacks = [[f'Z_{space}'] for space in spaces[1:] if 'V' in found['train'].parts]
    for added in [*stacks, [HISTOGRAM], [HOG], [HISTOGRAM, HOG]]:
        parts[' + '.join(['V', *added])] = stacked([parts[name] for name in ('V', *added)])
    for name, each in parts.items():
        yield name, (Features(each['train'], labels['train']), Features(each['test'], labels['test']))


def stacked(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Representations side by side, each standardised by the training pictures and of the same weight in a cosine.

    Args:
        parts: For each representation, split to (N, C).

    Returns:
        Split to (N, sum of all C). The mean square of a training value is 1.
    """
    total = sum(part['train'].shape[1] for part in parts)
    scaled: dict[str, list[Tensor]] = {split: [] for split in parts[0]}
    for part in parts:
        std, mean = torch.std_mean(part['train'], 0, correction=0)
        std = torch.where(std > 1e-6 * mean.abs(), std, 1.0)  # a dead channel stays zero
        weight = (total / len(parts) / part['train'].shape[1]) ** 0.5
        for split, x in part.items():
            scaled[split].append(weight * (x - mean) / std)
    return {split: torch.cat(each, 1) for split, each in scaled.items()}


def probe(train: Features, test: Features, classes: int, seed: int) -> tuple[Tensor, float, Score, Score]:
    """One representation by every protocol.

    Returns:
        (M,) bool, which test pictures the linear classifier got right; its top-1; k-NN; few-shot.
    """
    fitted = LinearClassifier().fit(train.x, train.labels[LABEL], classes)
    hits = (fitted.predict(test.x).argmax(1) == test.labels[LABEL]).cpu()
    knn = next(iter(KNNProbe(k=NEIGHBOURS).evaluate(train, test, LABEL)))
    few_shot = next(iter(FewShotProbe(shots=(SHOTS,), seed=seed).evaluate(train, test, LABEL)))
    return hits, 100 * hits.double().mean().item(), knn, few_shot


def write(result: Answer, folder: Path) -> None:
    """Write answer.json and answer.png."""
    with atomic_write(folder / 'answer.json') as part:
        part.write_text(json.dumps(asdict(result), indent=2) + '\n')
    rows = [
        (each.name + ('' if each.learnt else ' (not learnt)'), each.linear, each.linear_interval, each.verdict)
        for each in result.rows
    ]
    about = (
        f'{result.dataset}: {result.train} training, {result.test} test pictures, {len(result.classes)} classes; '
        f'views of {result.size} px'
    )
    figure = draw_answer(result.sentence, about, rows, result.guess, baselines=BASELINES)
    with atomic_write(folder / 'answer.png') as part:
        figure.savefig(part, format='png')


def _splits(data: Labelled) -> list[tuple[str, Split]]:
    return [('train', data.train), ('test', data.test)]
