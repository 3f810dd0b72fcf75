"""From V and the spaces of a network to one representation for a task, with few labels.

Shapes
    N  pictures        M  held-out pictures        C  width of a block
"""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from looc_mm.answer.compare import wilson
from looc_mm.answer.labelled import Labelled, read_labelled
from looc_mm.answer.trained import Trained
from looc_mm.evaluation.bootstrap import mean_difference
from looc_mm.evaluation.protocols.few_shot import draw
from looc_mm.export.features import view_size
from looc_mm.models.representation import select

from .choose import Choice, channel_scales, choose, fit_blocks, folds
from .network import FittedNetwork, Projection, check_format, write_network
from .redundancy import redundancy
from .result import Fit, conclude, write


def fit(
    run: str | Path,
    labelled: str | Path,
    out: str | Path | None = None,
    *,
    shots: int | None = None,
    classifier: bool = False,
    format: str = 'onnx',
    size: int | None = None,
    group: str | None = None,
    seed: int = 0,
    batch_size: int = 64,
    workers: int = 0,
    device: str | None = None,
    trust_checkpoint: bool = False,
) -> tuple[Fit, Path]:
    """Choose V or a combination of V and the spaces, and write it as a file; also writes fit.json.

    Blocks and scales are chosen by cross-validation inside the training pictures. Held-out pictures decide whether the
    choice is better than V. These are the folder val, where there is one. Else the whole choice is made once without
    each fifth of the pictures, which is then scored.

    Args:
        run: A work dir, whose last checkpoint is taken, or a checkpoint.
        labelled: ``{train,val}/<class>/`` or ``<class>/``; see :func:`looc_mm.answer.labelled.read_labelled`.
        out: Folder of the results; by default ``fit_<name of the labelled folder>`` beside the checkpoint.
        shots: Training pictures of each class, drawn from all; None for all.
        classifier: Whether the file has the logits of the classes too.
        format: 'onnx', the network; or 'safetensors', the projection and the classifier alone.
        size: Side of the views in pixels; None for the training's.
        group: A regex whose first group names what a picture shows, so that it is on one side of a split only.
        seed: Of the splits, the draw of shots and the folds.
        batch_size: Pictures at a time.
        workers: Processes that decode.
        device: Where the network runs; by default the GPU, if there is one.
        trust_checkpoint: Whether the checkpoint may run code on loading.

    Returns:
        The result, and the file of the network.

    Raises:
        FileNotFoundError: The run or the folder is missing.
        ValueError: The checkpoint or the folder does not fit, there are too few pictures, or the file gives other
            numbers than the network.
        ImportError: The format needs a package that is not installed.
    """
    check_format(format)
    if shots is not None and shots < 2:
        raise ValueError(f'Got {shots} training pictures of a class (--shots); cross-validation needs at least 2.')
    trained = Trained(run, batch_size, workers, device, trust_checkpoint=trust_checkpoint)
    path, checkpoint, model = trained.path, trained.checkpoint, trained.model
    data = read_labelled(labelled, group, seed)
    if shots is not None:
        rows = draw(data.train.labels, shots, torch.Generator().manual_seed(seed)).sort().values
        note = f'{data.note}; {shots} training pictures of each class drawn'
        data = replace(data, train=data.train.rows(rows), note=note, given=True)
    side = size or view_size(model)
    splits = {'train': data.train, 'test': data.test}
    source = trained.source(splits, side, data.name)
    y = torch.cat([data.train.labels, data.test.labels])
    groups = torch.cat([data.train.groups, data.test.groups])
    sides, used = rounds(data, seed)
    sets = [source.feature_set(split) for split in splits]
    parts = {name: torch.cat([each.parts[name].cpu() for each in sets]) for name in sets[0].parts}

    hits: list[Tensor] = []
    v_hits: list[Tensor] = []
    choices = []
    for train, held in sides:
        choice = choose_on(parts, y, groups, data, train, seed)
        choices.append(choice)
        hits.append(hits_of(parts, y, choice.best, train, held))
        v_hits.append(hits_of(parts, y, choice.v, train, held))
    last = choices[0] if len(sides) == 1 else choose_on(parts, y, groups, data, used, seed)
    rows = torch.cat([held for _, held in sides])
    own, other = torch.cat(hits).double(), torch.cat(v_hits).double()
    difference, (low, high) = mean_difference(100 * own, 100 * other, groups[rows], seed)
    count = len(groups[rows].unique())
    top1, v_top1 = 100 * own.mean().item(), 100 * other.mean().item()
    better, sentence = conclude(last.v, last.best, list(parts), v_top1, top1, (low, high), len(rows))
    result = Fit(
        sentence=sentence,
        chosen=last.best if better else last.v,
        better=better,
        combination=last.best,
        v=last.v,
        steps=last.steps,
        v_top1=v_top1,
        v_interval=wilson(v_top1, count),
        top1=top1,
        top1_interval=wilson(top1, count),
        difference=difference,
        interval=(low, high),
        combinations=tuple(each.best for each in choices),
        redundancy=tuple(redundancy(parts, seed)),
        widths={name: x.shape[1] for name, x in parts.items()},
        checkpoint=str(path),
        experiment=checkpoint.experiment,
        epoch=checkpoint.epoch,
        dataset=data.name,
        classes=data.classes,
        train=len(used),
        held_out=len(rows),
        groups=count,
        split=data.note if len(sides) == 1 else f'each of {len(sides)} parts in turn, seed {seed}',
        size=side,
        not_learnt=source.not_learnt,
        seed=seed,
    )
    folder = Path(out) if out else path.parent / f'fit_{data.name}'
    write(result, folder)
    fitted = fit_blocks(parts_of(parts, used), y[used], len(data.classes), result.chosen) if classifier else None
    x = select(parts, list(result.chosen))[used]
    projection = Projection(x, channel_scales(parts, result.chosen), fitted)
    about = {
        'scales': result.chosen,
        'checkpoint': path.name,
        'view_size': side,
        **({'classes': list(data.classes)} if classifier else {}),
    }
    file = folder / f'network.{format}'
    network = FittedNetwork(model, list(result.chosen), projection)
    written = write_network(network, source, file, side, about)
    write(result, folder, {'file': file.name, **written})
    return result, file


def rounds(data: Labelled, seed: int) -> tuple[list[tuple[Tensor, Tensor]], Tensor]:
    """What is held out.

    Args:
        data: N training pictures, followed by M test pictures.
        seed: Of the folds.

    Returns:
        Rows to choose on and rows that are held out, for each round; and the rows that the result is fitted on.

    Raises:
        ValueError: As :func:`looc_mm.fit.choose.folds`.
    """
    count, held = len(data.train.paths), len(data.test.paths)
    train, test = torch.arange(count), torch.arange(count, count + held)
    if data.given:
        return [(train, test)], train
    labels = torch.cat([data.train.labels, data.test.labels])
    fold = folds(labels, torch.cat([data.train.groups, data.test.groups]), data.classes, seed)
    sides = [((fold != each).nonzero()[:, 0], (fold == each).nonzero()[:, 0]) for each in fold.unique().tolist()]
    return sides, torch.cat([train, test])


def choose_on(parts: dict[str, Tensor], y: Tensor, groups: Tensor, data: Labelled, rows: Tensor, seed: int) -> Choice:
    """:func:`looc_mm.fit.choose.choose` on some of the pictures."""
    return choose(parts_of(parts, rows), y[rows], groups[rows], data.classes, seed)


def hits_of(parts: dict[str, Tensor], y: Tensor, scales: dict[str, float], train: Tensor, held: Tensor) -> Tensor:
    """Which held-out pictures a classifier of a combination gets right, (M,) bool."""
    fitted = fit_blocks(parts_of(parts, train), y[train], int(y.max()) + 1, scales)
    return fitted.predict(select(parts_of(parts, held), list(scales)).double()).argmax(1) == y[held]


def parts_of(parts: dict[str, Tensor], rows: Tensor) -> dict[str, Tensor]:
    """Some rows of every block."""
    return {name: x[rows] for name, x in parts.items()}
