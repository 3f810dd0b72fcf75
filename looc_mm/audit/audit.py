"""What networks still know about each augmentation, measured on pictures without labels.

Shapes
    N  pictures        B  of one batch        C  width        H, W  a canvas        h, w  a view
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm import tqdm

from looc_mm.augmentations import AtomicAugmentation
from looc_mm.evaluation.bootstrap import resample
from looc_mm.views import unit_range

from . import how_much, tell
from .networks import Network
from .pairs import (
    Pairs,
    differ,
    draw_pairs,
    make_views,
    one_view,
    rows_of,
    same_pixels,
    stacked,
    targets,
    visible_targets,
)
from .pixels import pixel_statistics
from .report import CONTROL, PIXELS, RANDOM, SHUFFLED, Audit, Cell
from .tell import Value
from .whitened import whitened_cosine, whitening

#: Pictures that both halves need, and pairs of an augmentation in each half.
LEAST_PICTURES, LEAST_PAIRS = 80, 20
TRIES = 50  # of other parameters for a view of a gallery
#: Standard deviations at which features are cut off before their products are taken for a regression.
EXTREME = 3.0
#: Chance that a working audit calls itself broken, over all its values together.
FALSE_ALARM = 0.001

Views = Callable[[Tensor], dict[str, Tensor]]


@dataclass
class Extracted:
    """Features of all pairs.

    Attributes:
        query: (N, C) of each representation.
        views: For each augmentation and each of 'same', 'other' and 'alone', the same.
        valid: For each augmentation, (N,) bool, the pictures with pairs that differ.
        visible: For each augmentation, (N, T) bool; see :func:`looc_mm.audit.pairs.visible_targets`.
    """

    query: dict[str, Tensor]
    views: dict[str, dict[str, dict[str, Tensor]]]
    valid: dict[str, Tensor]
    visible: dict[str, Tensor] = field(default_factory=dict)


def audit(
    networks: Sequence[Network],
    pictures: Dataset,
    augmentations: Sequence[AtomicAugmentation],
    *,
    control: Network | None = None,
    count: int = 2000,
    gallery: int = 50,
    hit_pictures: int = 100,
    seed: int = 0,
    batch_size: int = 64,
    workers: int = 0,
) -> Audit:
    """Measure which augmentations can be read from the representations of networks.

    Half of the pictures are for fitting, the others are held out. A picture and all its views are on one side.

    Args:
        networks: At least one, on their devices.
        pictures: Their samples have ``inputs`` (3, H, W) uint8 RGB, all of one size.
        augmentations: In the order of application.
        control: A reference whose V is a row: the all-invariant control of the networks.
        count: Most pictures that are used; they are drawn from all.
        gallery: Views of a picture from which the nearest one is taken.
        hit_pictures: Held-out pictures with a gallery; 0 leaves the hit rate out.
        seed: Of all random choices.
        batch_size: B.
        workers: Processes that decode.

    Raises:
        ValueError: There are too few pictures, or no augmentation changes them.
    """
    generator = torch.Generator().manual_seed(seed)
    total = len(pictures)  # type: ignore[arg-type]
    if min(total, count) < LEAST_PICTURES:
        raise ValueError(f'Got {min(total, count)} pictures; an audit needs at least {LEAST_PICTURES}.')
    chosen = torch.randperm(total, generator=generator)[:count]
    train, test = halves(len(chosen))
    data = Subset(pictures, chosen.tolist())
    pipeline = one_view(augmentations)
    first = data[0]['inputs']
    pairs = draw_pairs(pipeline, (train, test), tuple(first.shape[-2:]), generator)
    encode = encoder(networks, control, seed)
    loader = DataLoader(data, batch_size, num_workers=workers)
    found = extract_pairs(encode, loader, pipeline, pairs)

    names = [
        name for name in pairs.query if min(found.valid[name][rows].sum() for rows in (train, test)) >= LEAST_PAIRS
    ]
    if not names:
        raise ValueError(
            f'No augmentation of {list(pairs.query)} changes at least {LEAST_PAIRS} pictures of each half: give more '
            f'pictures, or augmentations that change them.'
        )
    scalers = {row: tell.standardise(x[train]) for row, x in found.query.items()}
    hit: dict[tuple[str, str], Tensor] = {}
    if hit_pictures:
        hit = gallery_hits(encode, Subset(data, test[:hit_pictures].tolist()), pipeline, scalers, gallery, generator)
    by_name = {each.name: each for each in pipeline.augmentations}
    cells = []
    rows = list(found.query)
    row_of_v = rows[0]
    progress = tqdm(total=(len(rows) + 1) * len(names), desc='fits', leave=False)
    for row in [*rows, SHUFFLED]:
        root = None if row == SHUFFLED else whitening(found.query[row][train])
        for name in names:
            used = row_of_v if row == SHUFFLED else row
            views = found.views[name]
            part = Part(
                same=views['same'][used],
                other=views['other'][used],
                alone=views['alone'][used],
                query=found.query[used],
                scaler=scalers[used],
                valid=found.valid[name],
                change=targets(by_name[name], pairs.query[name], pairs.other[name]),
                visible=found.visible[name],
                classes=bool(by_name[name].classes),
            )
            if row == SHUFFLED:
                part = part.shuffled((train, test), generator)
            cells.append(measure(row, name, part, train, test, root, hit.get((row, name)), seed))
            progress.update()
    progress.close()
    prefixed = [row for row in rows if row not in (PIXELS, RANDOM, CONTROL)]
    flat = [
        row for row in rows if not (found.query[row].std(0, correction=0) > 1e-6 * found.query[row].abs().amax(0)).any()
    ]
    several = len(networks) > 1
    return Audit(
        models=[each.name for each in networks],
        pictures=len(chosen),
        held_out=len(test),
        size=pipeline.view_size(first.shape[-2:])[0],
        augmentations={name: repr(by_name[name]) for name in names},
        no_effect={name: int((~found.valid[name]).sum()) for name in pairs.query if name not in names},
        gallery=gallery,
        hit_pictures=min(hit_pictures, len(test)),
        seed=seed,
        references=[row for row in [*rows, SHUFFLED] if row not in prefixed],
        constant=flat,
        not_learnt=[row_name(each, row, several) for each in networks for row in each.not_learnt],
        broken=broken([each for each in cells if each.representation == SHUFFLED]),
        cells=cells,
    )


def halves(count: int) -> tuple[Tensor, Tensor]:
    """The training pictures and the held-out ones, of pictures in random order: rows of all, none on both sides."""
    rows = torch.arange(count)
    return rows[: count // 2], rows[count // 2 :]


def row_name(network: Network, representation: str, several: bool) -> str:
    """The row of a representation; it begins with the model, if there are several."""
    return f'{network.name}: {representation}' if several else representation


def encoder(networks: Sequence[Network], control: Network | None, seed: int) -> Views:
    """From views in [0, 1] to every row's features: of the models, then of the references."""
    random = networks[0].random(seed)
    several = len(networks) > 1

    def encode(views: Tensor) -> dict[str, Tensor]:
        rows = {
            row_name(network, name, several): each
            for network in networks
            for name, each in network.representations(views).items()
        }
        if control is not None:
            rows[CONTROL] = control.representations(views)['V']
        return {**rows, RANDOM: random.representations(views)['V'], PIXELS: pixel_statistics(views)}

    return encode


def extract_pairs(encode: Views, loader: DataLoader, pipeline: Any, pairs: Pairs) -> Extracted:
    """Make the views of all pictures, batch by batch, and keep their features."""
    names = list(pairs.query)
    query: list[dict[str, Tensor]] = []
    views: dict[str, dict[str, list[dict[str, Tensor]]]] = {
        name: {kind: [] for kind in ('same', 'other', 'alone')} for name in names
    }
    valid: dict[str, list[Tensor]] = {name: [] for name in names}
    visible: dict[str, list[Tensor]] = {name: [] for name in names}
    by_name = {each.name: each for each in pipeline.augmentations}
    start = 0
    for batch in tqdm(loader, desc='views and features', leave=False):
        canvas = batch['inputs']
        rows = torch.arange(start, start + len(canvas))
        start += len(canvas)
        before = make_views(pipeline, canvas, pairs.query, rows)
        query.append(encode(before))
        for name in names:
            draws = [pairs.same_view(name), pairs.other_view(name), pairs.alone_view(name)]
            made = make_views(pipeline, canvas.repeat(3, 1, 1, 1), stacked(draws, rows), torch.arange(3 * len(rows)))
            features = encode(made)
            for index, kind in enumerate(('same', 'other', 'alone')):
                part = slice(index * len(rows), (index + 1) * len(rows))
                views[name][kind].append({row: x[part] for row, x in features.items()})
            same, other, alone = made.split(len(rows))
            valid[name].append(~same_pixels(alone, before) & ~same_pixels(same, other))
            drawn = [rows_of(each[name], rows) for each in (pairs.query, pairs.other)]
            visible[name].append(visible_targets(by_name[name], unit_range(canvas), *drawn))
    found = Extracted(
        _joined(query),
        {name: {kind: _joined(parts) for kind, parts in kinds.items()} for name, kinds in views.items()},
        {name: torch.cat(parts) for name, parts in valid.items()},
        {name: torch.cat(parts) for name, parts in visible.items()},
    )
    for name, partner in pairs.partner.items():
        differs = found.valid[name] & (partner != torch.arange(len(partner)))
        found.valid[name] = differs & differs[partner]  # couples stay together; see looc_mm.audit.pairs
    return found


def _joined(parts: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([each[name] for each in parts]) for name in parts[0]}


def gallery_hits(
    encode: Views,
    pictures: Dataset,
    pipeline: Any,
    scalers: dict[str, tell.Scaler],
    gallery: int,
    generator: torch.Generator,
) -> dict[tuple[str, str], Tensor]:
    """For each representation and augmentation, the hits of the pictures; NaN where no parameters differ.

    A gallery has views of one picture: the first has the query's x_i, the others have other x_i.
    """
    found: dict[tuple[str, str], list[Tensor]] = {}
    for sample in tqdm(pictures, desc='galleries', leave=False):  # type: ignore[arg-type]
        canvas = sample['inputs'][None]
        size = tuple(canvas.shape[-2:])
        drawn = pipeline.sample(1 + gallery, generator, size)['q']  # the query, then the gallery
        names = list(drawn)
        parts, replaced, usable = [(drawn, torch.arange(1 + gallery))], {}, {}
        start = 1 + gallery
        for name in names:
            one = {key: value[:1] for key, value in drawn[name].items()}
            params = {key: value.clone() for key, value in drawn[name].items()}
            changed = torch.zeros(1 + gallery, dtype=torch.bool)
            for _ in range(TRIES):
                equal = ~differ(params, {key: value.expand_as(params[key]) for key, value in one.items()})
                equal[:2] = False
                if not equal.any():
                    break
                fresh = pipeline.sample(1 + gallery, generator, size)['q'][name]
                for key, value in params.items():
                    value[equal] = fresh[key][equal]
                changed |= equal
            usable[name] = not equal.any()
            for key, value in params.items():
                value[1] = one[key][0]
            changed[1] = True
            rows = changed.nonzero()[:, 0]
            parts.append(({**drawn, name: params}, rows))
            replaced[name] = (rows, slice(start, start + len(rows)))
            start += len(rows)
        views = torch.cat([make_views(pipeline, canvas.expand(len(rows), -1, -1, -1), d, rows) for d, rows in parts])
        for row, features in encode(views).items():
            x = scalers[row](features)
            for name in names:
                mine = x[: 1 + gallery].clone()
                rows, where = replaced[name]
                mine[rows] = x[where]
                hit = tell.hits(mine[:1], mine[None, 1:]) if usable[name] else torch.tensor([torch.nan])
                found.setdefault((row, name), []).append(hit)
    return {key: torch.cat(parts) for key, parts in found.items()}


@dataclass(frozen=True)
class Part:
    """The pairs of one representation and one augmentation; features are (N, C).

    A class of a relation, such as the angle between two views, is no linear function of the features of both views.
    With ``classes`` it is predicted from their products and differences.
    """

    same: Tensor
    other: Tensor
    alone: Tensor
    query: Tensor
    scaler: tell.Scaler
    valid: Tensor
    change: Tensor
    visible: Tensor
    classes: bool

    def shuffled(self, splits: Sequence[Tensor], generator: torch.Generator) -> 'Part':
        """The same features in pairs of different pictures, with the targets of a third picture."""
        query, change, visible = self.query.clone(), self.change.clone(), self.visible.clone()
        for split in splits:
            rows = split[self.valid[split]]
            order, third = (rows[torch.randperm(len(rows), generator=generator)] for _ in range(2))
            query[rows] = self.query[order]
            change[rows], visible[rows] = self.change[third], self.visible[third]
        return replace(self, query=query, change=change, visible=visible)


def measure(
    row: str,
    name: str,
    part: Part,
    train: Tensor,
    test: Tensor,
    root: tuple[Tensor, Tensor] | None,
    hit: Tensor | None,
    seed: int,
) -> Cell:
    """All values of one representation and one augmentation.

    Args:
        row: The representation.
        name: The augmentation.
        part: Its pairs.
        train: Rows to fit on.
        test: Rows to score; no picture is in both.
        root: Of :func:`looc_mm.audit.whitened.whitening`; None for shuffled pairs.
        hit: Of :func:`gallery_hits`.
        seed: Of the bootstrap, so that the rows of a table have the same resamples.
    """
    fit, held = (rows[part.valid[rows]] for rows in (train, test))
    query, same, other, alone = (part.scaler(each) for each in (part.query, part.same, part.other, part.alone))
    weights = resample(len(held), torch.Generator().manual_seed(seed), tell.RESAMPLES)
    probe = tell.fit_probe(query[fit], same[fit], other[fit])
    scores = [[score(query[held], each[held]) for each in (same, other)] for score in (
        tell.cosine_scores, lambda left, right: tell.probe_scores(probe, left, right)
    )]  # fmt: skip
    cosine, logistic = (tell.auc_interval(positive, negative, weights) for positive, negative in scores)
    predictions: list[how_much.Prediction] = []
    none, values_left_out = part.change.shape[1], 0
    if part.change.shape[1] <= how_much.MOST_TARGETS:
        # Products of rare, extreme features would be far outside of what the regression has seen.
        bounded = [each.clamp(-EXTREME, EXTREME) for each in (query, alone)]
        x = tell.pair_features(*bounded) if part.classes else torch.cat([query, alone - query], 1)
        predictions, none = how_much.predict(x, part.change, part.visible, fit, held)
        values_left_out = int((~part.visible[part.valid]).sum())
    raw = whitened = None
    if root is not None:
        left, right = part.query[held], part.alone[held]
        raw = tell.mean_interval(tell.cosine_scores(left, right), weights)
        whitened = tell.mean_interval(whitened_cosine(left, right, *root), weights)
    hit = None if hit is None else hit[~hit.isnan()]
    draw = torch.Generator().manual_seed(seed)
    return Cell(
        representation=row,
        augmentation=name,
        pairs=len(held),
        left_out=int((~part.valid).sum()),
        cosine=cosine,
        probe=logistic,
        hit=tell.mean_interval(hit, resample(len(hit), draw, tell.RESAMPLES)) if hit is not None and len(hit) else None,
        r2=how_much.r2(predictions, held, weights) if predictions else None,
        r2_by_strength=how_much.r2_by_strength(predictions) if predictions else [],
        targets_left_out=none,
        values_left_out=values_left_out,
        raw=raw,
        whitened=whitened,
    )


def broken(cells: Sequence[Cell]) -> list[str]:
    """Which values of shuffled pairs differ from chance.

    The intervals are widened, so that all of them include chance together in 99.9 % of the working audits. R² may be
    below 0, as that of a fit to nothing is.
    """

    def values() -> Iterator[tuple[str, Value, float, bool]]:
        for cell in cells:
            yield f'{cell.augmentation}, cosine', cell.cosine, 0.5, True
            yield f'{cell.augmentation}, probe', cell.probe, 0.5, True
            if cell.r2 is not None:
                yield f'{cell.augmentation}, R²', cell.r2, 0.0, False

    checked = list(values())
    z = NormalDist().inv_cdf(1 - FALSE_ALARM / 2 / max(1, len(checked)))
    found = []
    for name, value, chance, both in checked:
        limit = z * (value.high - value.value) / tell.Z95 + 1e-9
        distance = value.value - chance
        if (abs(distance) if both else distance) > limit:
            found.append(f'{name} {value.value:.3f}')
    return found
