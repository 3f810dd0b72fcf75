"""Which representation of a pretraining to use on labelled pictures, against baselines without any training.

Shapes: N training pictures, M test pictures, C feature width.
"""

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from looc_mm.evaluation import Features, FeatureSource, FewShotProbe, KNNProbe, LinearClassifier, Score
from looc_mm.evaluation.protocols.base import by_training_classes
from looc_mm.evaluation.unwritable import warn_unwritable
from looc_mm.multichannel import channels_of

from .compare import conclude, wilson
from .labelled import Labelled, hold_out, read_labelled
from .result import NEIGHBOURS, SHOTS, Answer, Row, is_learnt, write
from .trained import Trained

LABEL = 'gt_label'


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
    trained = Trained(run, batch_size, workers, device, amp, trust_checkpoint)
    data = read_labelled(labelled, group, seed, allow_missing_classes, channels_of(trained.model))
    check_numbers(data)
    splits = {'train': data.train, 'test': data.test}
    tried = trained.sizes(sizes)
    fixed = trained.baselines(splits)  # first, because it names a broken picture at once
    sources = {size: trained.source(splits, size, data.name) for size in tried}
    held_out = {}
    if len(tried) > 1:
        held_out = {size: held_out_accuracy(each, data, seed) for size, each in sources.items()}
    size = max(held_out, key=held_out.__getitem__) if held_out else tried[0]
    source = sources[size]
    features = trained.features(source, splits, size, fixed, seed)

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
                learnt=is_learnt(name, source.not_learnt),
            )
        )
    result = Answer(
        sentence=conclusion.sentence,
        checkpoint=str(trained.path),
        experiment=trained.checkpoint.experiment,
        epoch=trained.checkpoint.epoch,
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
        not_learnt=source.not_learnt,
        seed=seed,
        rows=rows,
    )
    folder = Path(out) if out else trained.path.parent / f'answer_{data.name}'
    with warn_unwritable(f'{folder}/answer.json or its figure'):
        write(result, folder)
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
