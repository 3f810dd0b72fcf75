"""Which representation of a pretraining predicts a number, against baselines without any training.

Shapes: N training pictures, M test pictures, C feature width.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from looc_mm.evaluation.protocols.regression import errors
from looc_mm.evaluation.ridge import fit_ridge
from looc_mm.files import atomic_write

from .compare import ERRORS, conclude
from .result import aligned, is_learnt, not_learnt_note, shown_p
from .trained import Trained
from .values import read_values


@dataclass(frozen=True)
class NumberRow:
    """One representation on the test pictures.

    Attributes:
        name: Of the representation.
        width: C.
        r2: R² of a ridge regression, as a fraction.
        r2_interval: Its 95 % interval, by a bootstrap over groups of test pictures.
        error: Mean absolute error.
        error_interval: As ``r2_interval``.
        p: Adjusted p of the comparison of the absolute errors with V's; None for V.
        verdict: 'better', 'no difference' or 'worse' than V; None for V.
        learnt: False for a space that was not learning when its training ended.
    """

    name: str
    width: int
    r2: float
    r2_interval: tuple[float, float]
    error: float
    error_interval: tuple[float, float]
    p: float | None
    verdict: str | None
    learnt: bool


@dataclass(frozen=True)
class Numbers:
    """The result of :func:`answer_values`, as its JSON file has it.

    Attributes:
        sentence: What to use, by the rules of :func:`looc_mm.answer.compare.conclude`.
        column: Name of the number.
        checkpoint: File.
        experiment: Name of the training config; None if the file has none.
        epoch: Finished epochs; None if the file has none.
        train: Number of training pictures.
        test: Number of test pictures.
        groups: Number of groups of the test pictures.
        split: How the pictures were split.
        size: Side of the views in pixels.
        sizes: Root mean squared error of V at each size, where training pictures are left out in turn; empty where one
            was given.
        guess: Mean absolute error of the mean of the training pictures.
        not_learnt: Spaces that were not learning when their training ended.
        seed: Of the split, the random weights and the bootstrap.
        rows: The representations.
    """

    sentence: str
    column: str
    checkpoint: str
    experiment: str | None
    epoch: int | None
    train: int
    test: int
    groups: int
    split: str
    size: int
    sizes: Mapping[int, float]
    guess: float
    not_learnt: list[str]
    seed: int
    rows: list[NumberRow]

    def table(self) -> str:
        """The representations, what they were computed on, and the sentence, as text."""
        head = ['representation', 'width', 'R²', '95 %', 'error', '95 %', 'p against V']
        lines = [
            [
                each.name + ('' if each.learnt else ' (not learnt)'),
                str(each.width),
                f'{each.r2:.3f}',
                '{:.3f} to {:.3f}'.format(*each.r2_interval),
                f'{each.error:.3g}',
                '{:.3g} to {:.3g}'.format(*each.error_interval),
                shown_p(each.p, each.verdict),
            ]
            for each in self.rows
        ]
        tried = ', '.join(f'{size} px {value:.3g}' for size, value in self.sizes.items())
        about = [
            f'{self.column}: {self.train} training and {self.test} test pictures, {self.split}.',
            f'Checkpoint: {self.checkpoint}',
            f'Views of {self.size} px'
            + (f', the best for V on training pictures that are left out in turn ({tried}).' if tried else '.'),
            f'error: mean absolute error; the mean of the training pictures has {self.guess:.3g}. The p compare the '
            f'absolute errors with those of V on the same pictures.',
        ]
        about += not_learnt_note(self.not_learnt)
        return '\n'.join([*about, '', *aligned([head, *lines]), '', self.sentence])


def answer_values(
    run: str | Path,
    folder: str | Path,
    values: str,
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
) -> Numbers:
    """Compare V, spaces and baselines on pictures with a number each; writes ``values_<column>.json``.

    Args:
        run: A work dir, whose last checkpoint is taken, or a checkpoint.
        folder: What the paths are relative to.
        values: ``FILE.csv`` or ``FILE.csv:COLUMN``; see :func:`looc_mm.answer.values.read_values`.
        out: Folder of the results; by default ``answer_<name of the folder>`` beside the checkpoint.
        sizes: Sides of the views in pixels to choose from; by default 1, 1.5 and 2 times the training's.
        group: A regex whose first group names what a picture shows, so that it is on one side of a split only.
        seed: Of the split, the random weights and the bootstrap.
        batch_size: Pictures at a time.
        workers: Processes, and threads of the baselines, that decode.
        device: Where the network runs; by default the GPU, if there is one.
        amp: Whether features are extracted under autocast.
        trust_checkpoint: Whether the checkpoint may run code on loading.

    Raises:
        FileNotFoundError: The run, the folder, the file or a picture is missing.
        ValueError: The checkpoint or the file does not fit, or a picture cannot be decoded.
    """
    trained = Trained(run, batch_size, workers, device, amp, trust_checkpoint)
    data = read_values(folder, values, group, seed)
    splits = {'train': data.train, 'test': data.test}
    tried = trained.sizes(sizes)
    fixed = trained.baselines(splits)
    sources = {size: trained.source(splits, size, data.name) for size in tried}
    y, actual = data.train.labels, data.test.labels
    left_out = {}
    if len(tried) > 1:
        left_out = {
            size: fit_ridge(each.features('train').x.cpu(), y, data.train.groups).error ** 0.5
            for size, each in sources.items()
        }
    size = min(left_out, key=left_out.__getitem__) if left_out else tried[0]
    source = sources[size]
    features = trained.features(source, splits, size, fixed, seed)
    predicted = {
        name: fit_ridge(train.x.cpu(), y, data.train.groups).predict(test.x.cpu())
        for name, (train, test) in tqdm(features.items(), desc='comparisons', leave=False)
    }
    guess = -(y.mean() - actual).abs()
    closeness = {name: -(each - actual).abs() for name, each in predicted.items()}
    conclusion = conclude(closeness, guess, data.test.groups, ERRORS)
    rows = []
    for name, each in predicted.items():
        found = errors(each, actual, data.test.groups, seed)
        rows.append(
            NumberRow(
                name=name,
                width=features[name][0].x.shape[1],
                r2=found.r2,
                r2_interval=found.r2_interval,
                error=found.mae,
                error_interval=found.mae_interval,
                p=conclusion.p.get(name),
                verdict=conclusion.verdicts.get(name),
                learnt=is_learnt(name, source.not_learnt),
            )
        )
    (column,) = data.classes
    result = Numbers(
        sentence=conclusion.sentence,
        column=column,
        checkpoint=str(trained.path),
        experiment=trained.checkpoint.experiment,
        epoch=trained.checkpoint.epoch,
        train=len(y),
        test=len(actual),
        groups=len(data.test.groups.unique()),
        split=data.note,
        size=size,
        sizes=left_out,
        guess=-guess.mean().item(),
        not_learnt=source.not_learnt,
        seed=seed,
        rows=rows,
    )
    beside = trained.path.parent / f'answer_{Path(folder).expanduser().resolve().name}'
    with atomic_write((Path(out) if out else beside) / f'values_{column}.json') as part:
        part.write_text(json.dumps(asdict(result), indent=2) + '\n')
    return result
