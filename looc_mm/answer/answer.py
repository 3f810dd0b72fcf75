"""Which representation of a pretraining to use on labelled pictures, against baselines without any training.

Shapes: N training pictures, M test pictures, C feature width.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from looc_mm.checkpoint import build_model, find_checkpoint, load_weights, random_weights, read_checkpoint
from looc_mm.evaluation import Features, FeatureSource, FewShotProbe, KNNProbe, LinearClassifier, Score
from looc_mm.evaluation.protocols.base import by_training_classes
from looc_mm.export.features import default_device, view_size

from .baselines import describe
from .combine import combinations
from .compare import conclude, wilson
from .labelled import Labelled, Split, hold_out, labelled_source, read_labelled
from .result import NEIGHBOURS, SHOTS, Answer, Row, write

LABEL = 'gt_label'
#: Sizes that are tried, as multiples of the side of the training's views.
MULTIPLES = (1.0, 1.5, 2.0)


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
    allow_missing_classes: bool = False,
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
        allow_missing_classes: Whether a class may have no pictures in val or in both folders; it is counted and named.
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
    data = read_labelled(labelled, group, seed, allow_missing_classes)
    check_numbers(data)
    device = device or default_device()
    side = 0 if sizes else view_size(model)
    tried = sorted({*sizes} or {round(side * multiple) for multiple in MULTIPLES})
    fixed = {
        split: describe(each.paths, device, batch_size, workers) for split, each in _splits(data)
    }  # first, because it names a broken picture at once

    def source(network: nn.Module, size: int) -> FeatureSource:
        splits = dict(_splits(data))
        return labelled_source(network, splits, size, data.name, batch_size, workers, device, amp, checkpoint.states)

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
        assert few_shot.ci is not None  # of ten draws
        rows.append(
            Row(
                name=name,
                width=features[name][0].x.shape[1],
                linear=linear,
                linear_interval=wilson(linear, count),
                knn=knn.value,
                knn_interval=wilson(knn.value, count),
                few_shot=few_shot.value,
                few_shot_ci=few_shot.ci,
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
        missing_classes=data.missing,
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


def probe(train: Features, test: Features, classes: int, seed: int) -> tuple[Tensor, float, Score, Score]:
    """One representation by every protocol.

    Returns:
        (M,) bool, which test pictures the linear classifier got right; its top-1; k-NN; few-shot.
    """
    train, test = by_training_classes(LABEL, train, test)
    fitted = LinearClassifier().fit(train.x, train.labels[LABEL], classes)
    hits = (fitted.predict(test.x).argmax(1) == test.labels[LABEL]).cpu()
    knn = next(iter(KNNProbe(k=NEIGHBOURS).evaluate(train, test, LABEL)))
    few_shot = next(iter(FewShotProbe(shots=(SHOTS,), seed=seed).evaluate(train, test, LABEL)))
    return hits, 100 * hits.double().mean().item(), knn, few_shot


def _splits(data: Labelled) -> list[tuple[str, Split]]:
    return [('train', data.train), ('test', data.test)]
