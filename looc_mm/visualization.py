"""All figures."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import TABLEAU_COLORS
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from torch import Tensor
from torch.utils.data import default_collate

from looc_mm.views import LeaveOneOutPipeline, to_rgb

COLORS = ('#8a8f98', '#d1495b', '#2e86ab', '#edae49', '#3c896d')  # bars by method, in order

POINTS = 500  # of a curve: more than a picture can show


def draw_views(
    figure: Figure | SubFigure,
    pipeline: LeaveOneOutPipeline,
    samples: Sequence[Mapping[str, Tensor]],
    seed: int = 0,
    words: bool = True,
) -> None:
    """Draw a row for each sample: its canvas, q, k_0 and every k_i under the name of its space.


    Args:
        figure: Where to draw.
        pipeline: What makes the views.
        samples: What a dataset gives: ``inputs`` (3, H, W) uint8 RGB, ``image_size`` (2,) of the original,
            and maybe ``candidates`` (K, 3, H, W). Of pictures (C, H, W) the first three channels are drawn.
        seed: Of the view table.
        words: Write below each view what was done to make it.
    """
    generator = torch.Generator().manual_seed(seed)
    axes = figure.subplots(len(samples), 1 + len(pipeline.views), squeeze=False)
    for row, sample in zip(axes, samples, strict=True):
        batch = default_collate([sample])
        table = pipeline.sample(1, generator, batch['image_size'])
        views = pipeline.apply(batch['inputs'], table, batch.get('candidates'))[:, 0]
        pictures = [to_rgb(each) for each in (sample['inputs'], *views)]  # each 3 x H x W
        said = pipeline.words(table) if words else {view: [''] for view in pipeline.views}
        texts = ['', *(said[view][0] for view in pipeline.views)]
        for axis, picture, text in zip(row, pictures, texts, strict=True):
            axis.imshow(picture.permute(1, 2, 0).numpy(), interpolation='nearest')
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            axis.set_xlabel(_lines(text), fontsize=6, labelpad=2)
    titles = ['canvas', '$q$\nthe query', '$k_0$\nspace: invariant']
    titles += [f'$k_{{{space}}}$\nspace: {space}' for space in pipeline.spaces[1:]]
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=9)


def _lines(text: str, width: int = 30) -> str:
    """A list with commas in lines of whole entries."""
    lines = ['']
    for entry in text.split(', '):
        joined = f'{lines[-1]}, {entry}' if lines[-1] else entry
        lines[-1:] = [joined] if len(joined) <= width or not lines[-1] else [f'{lines[-1]},', entry]
    return '\n'.join(lines)


def draw_curves(figure: Figure, rows: Sequence[Mapping[str, str]], spaces: Sequence[str]) -> None:
    """Draw how a training goes: its loss, P of every space beside chance, and the similarities of every space.

    Args:
        figure: Where to draw.
        rows: Of a table of :class:`looc_mm.engine.curves.Curves`, at least one.
        spaces: Names of the spaces, each of which has one colour in all parts.
    """
    rows = [rows[index] for index in np.linspace(0, len(rows) - 1, min(len(rows), POINTS)).round().astype(int)]
    unit = 'epoch' if rows[-1]['epoch'] else 'step'
    colors = dict(zip(spaces, cycle(tab10_without_gray()), strict=False))

    def draw(axis: Axes, column: str, **style: Any) -> None:
        points = [(float(row[unit]), float(row[column])) for row in rows if row.get(column)]
        if points:
            axis.plot(*zip(*points, strict=True), marker='.' if len(points) < 40 else None, **style)

    loss, *others = figure.subplots(1, 3 if spaces else 1, squeeze=False)[0]
    draw(loss, 'loss', color='black')
    loss.set(title='loss', ylabel='loss')
    if others:
        told_apart, similarity = others
        for space in spaces:
            state = rows[-1].get(f'state_{space}')
            draw(told_apart, f'P_{space}', color=colors[space], label=f'{space}: {state}' if state else space)
            draw(similarity, f'pos_{space}', color=colors[space], label=space)
            draw(similarity, f'others_{space}', color=colors[space], linestyle='--')
        told_apart.axhline(0.5, color='black', linestyle=':', label='chance')
        told_apart.set(
            title='P: the positive is nearer than the negative', ylabel='share of the pictures', ylim=(0, 1.02)
        )
        similarity.plot([], [], color='black', label='to the positive')
        similarity.plot([], [], color='black', linestyle='--', label='to other images')
        similarity.set(title='similarity', ylabel='mean cosine', ylim=(None, 1.02))
        for axis in others:
            axis.legend(fontsize=8, frameon=False, ncols=2, loc='upper center', bbox_to_anchor=(0.5, -0.14))
    for axis in (loss, *others):
        axis.set_xlabel(unit)
        axis.grid(alpha=0.25)
        axis.spines[['top', 'right']].set_visible(False)


def tab10_without_gray() -> list[str]:
    """Nine colours that can be distinguished beside a black line."""
    return [str(color) for name, color in TABLEAU_COLORS.items() if name != 'tab:gray']


def draw_probes(axis: Axes, scores: Mapping[str, Mapping[str, float]], chance: Mapping[str, float]) -> None:
    """Draw grouped bars: one group for each probe, one bar for each method.

    Args:
        axis: Where to draw.
        scores: ``scores[method][probe]`` in percent, the same probes for every method.
        chance: ``chance[probe]`` in percent, drawn as a line across the group.
    """
    probes = list(chance)
    width = 0.8 / len(scores)
    for index, (method, values) in enumerate(scores.items()):
        places = np.arange(len(probes)) + (index - (len(scores) - 1) / 2) * width
        bars = axis.bar(places, [values[probe] for probe in probes], 0.94 * width, label=method, color=COLORS[index])
        axis.bar_label(bars, fmt='%.0f', fontsize=8, padding=1)
    for index, probe in enumerate(probes):
        line = axis.hlines(chance[probe], index - 0.45, index + 0.45, color='black', linestyle=':', linewidth=1)
    line.set_label('chance')
    axis.set_xticks(range(len(probes)), probes)
    axis.set_ylim(0, 109)
    axis.set_yticks(range(0, 101, 25))
    axis.set_ylabel('linear probe, top-1 %')
    axis.spines[['top', 'right']].set_visible(False)
    axis.legend(frameon=False, fontsize=8, ncols=3, loc='lower center', bbox_to_anchor=(0.5, 1))


@dataclass(frozen=True)
class Neighbour:
    """A picture in the figure of neighbours.

    Attributes:
        image: (H, W, 3).
        name: Of its class; empty if the dataset has none.
        hit: Whether it has the query's class; None where that is not known.
    """

    image: np.ndarray
    name: str = ''
    hit: bool | None = None


def draw_neighbours(rows: Sequence[tuple[Neighbour, Mapping[str, Sequence[Neighbour]]]], turned: bool) -> Figure:
    """Draw queries and their neighbours, with the names of their classes, and a frame and a mark for hit or miss.

    Args:
        rows: For each query its picture, and its nearest pictures by each representation.
        turned: Whether every picture was turned by a random right angle, which the title then says.
    """
    names = list(rows[0][1])
    shown = len(rows[0][1][names[0]])
    size = (1.3 * (1 + shown), 1.3 * len(rows) * len(names) + 0.5)
    figure = Figure(figsize=size, dpi=120, layout='constrained')
    axes = figure.subplots(len(rows) * len(names), 1 + shown, squeeze=False)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    lines = iter(axes)
    for query, neighbours in rows:
        for index, (name, found) in enumerate(neighbours.items()):
            line = next(lines)
            if index == 0:
                line[0].imshow(query.image)
                line[0].set_title(f'query: {query.name}' if query.name else 'query', fontsize=7, weight='bold')
            line[1].set_ylabel(name if name == 'V' else f'Z: {name}', fontsize=8)
            for axis, each in zip(line[1:], found, strict=True):
                axis.imshow(each.image)
                color, mark = (
                    ('black', '') if each.hit is None else ('#2a7f4f', '✓ ') if each.hit else ('#b8860b', '✗ ')
                )
                axis.set_title(mark + each.name, fontsize=7, color=color, pad=3)
                if each.hit is not None:
                    axis.spines[:].set(visible=True, color=color, linewidth=2)
    what = 'Nearest training pictures'
    if any(each.hit is not None for _, neighbours in rows for found in neighbours.values() for each in found):
        what += "; ✓ has the query's class"
    if turned:
        what += '.\nEvery picture, query or not, was turned by a random right angle'
    figure.suptitle(what + '.', fontsize=8)
    return figure


def draw_shares(
    spaces: Sequence[str], title: str, mean: Tensor, images: Sequence[np.ndarray], shares: Tensor
) -> Figure:
    """Draw the share of every space in a decision: over a dataset, and for single images.

    Args:
        spaces: H names.
        title: Of the dataset's histogram.
        mean: (H,).
        images: N images, (H, W, 3).
        shares: (N, H).
    """
    figure = Figure(figsize=(2 * (1 + len(images)), 3.6), dpi=150, layout='constrained')
    axes = figure.subplots(2, 1 + len(images), squeeze=False, sharey='row')
    axes[0, 0].text(0.5, 0.4, title, ha='center', va='center', transform=axes[0, 0].transAxes)
    for column, values in enumerate([mean, *shares]):
        axes[0, column].set_axis_off()
        if column:
            axes[0, column].imshow(images[column - 1], aspect='equal')
        axes[1, column].bar(range(len(spaces)), values.cpu().numpy(), color=[f'C{i}' for i in range(len(spaces))])
        axes[1, column].set_xticks(range(len(spaces)), spaces, rotation=60, ha='right', fontsize=8)
        axes[1, column].set_ylim(0, 1)
    axes[1, 0].set_ylabel('share of the decision')
    return figure


def draw_matrix(matrix: Tensor, rows: list[str], columns: list[str]) -> Figure:
    """Draw a matrix as a heat map with its numbers; NaN is an empty cell with a dash."""
    figure = Figure(figsize=(1.6 + 0.8 * len(columns), 1.3 + 0.5 * len(rows)), dpi=150, layout='constrained')
    axis = figure.subplots()
    axis.imshow(matrix.numpy(), vmin=min(0.0, matrix.nan_to_num().min().item()), vmax=1, cmap='viridis', aspect='auto')
    axis.set_xticks(range(len(columns)), columns, rotation=30, ha='right')
    axis.set_yticks(range(len(rows)), [row if row == 'V' else f'Z: {row}' for row in rows])
    for r in range(len(rows)):
        for c in range(len(columns)):
            dark = matrix[r, c] < 0.6
            text = '-' if matrix[r, c].isnan() else f'{matrix[r, c]:.2f}'
            axis.text(c, r, text, ha='center', va='center', color='white' if dark else 'black')
    axis.set_title('cosine of two views that differ in one augmentation', fontsize=9)
    return figure


def draw_answer(
    sentence: str,
    about: str,
    rows: Sequence[tuple[str, float, tuple[float, float], str | None]],
    guess: float,
    baselines: Sequence[str] = (),
) -> Figure:
    """Draw the accuracy of every representation with its interval, in the colour of its comparison with V.

    Args:
        sentence: The title.
        about: A line below it.
        rows: Name, percent, its 95 % interval, and 'better', 'no difference' or 'worse' than V; None for V.
        guess: Accuracy of a guess in percent, drawn as a line.
        baselines: Names of rows that need no pretraining; a gap follows them.
    """
    colors = {None: '#1f4e79', 'better': '#3c896d', 'no difference': '#b7bcc4', 'worse': '#e3a6a6'}
    texts = {None: 'V', 'better': 'better than V', 'no difference': 'no difference beyond chance', 'worse': 'worse'}
    figure = Figure(figsize=(9, 1.9 + 0.36 * len(rows)), dpi=120, layout='constrained')
    axis = figure.subplots()
    place = 0.0
    places = []
    for index, (name, value, (low, high), verdict) in enumerate(rows):
        if index and rows[index - 1][0] in baselines and name not in baselines:
            place += 0.5
        error = [[value - low], [high - value]]
        axis.barh(place, value, 0.78, color=colors[verdict])
        axis.errorbar(value, place, xerr=error, color='black', linewidth=1, capsize=2.5)
        weight = 'bold' if verdict is None else 'normal'
        box = dict(color='white', pad=1)
        axis.text(high + 1.2, place, f'{value:.1f}', va='center', size=9, weight=weight, bbox=box)
        if verdict is None:
            axis.axvline(value, color=colors[None], linewidth=1, linestyle='--', zorder=0)
        places.append(place)
        place += 1
    shown = {verdict for *_, verdict in rows}
    handles: list[Artist] = [Patch(color=colors[each], label=text) for each, text in texts.items() if each in shown]
    line = axis.axvline(guess, color='black', linewidth=1, linestyle=':', label='guessing the most frequent class')
    axis.set_yticks(places, [name for name, *_ in rows])
    axis.invert_yaxis()
    axis.set_xlim(0, 109)
    axis.set_xticks(range(0, 101, 20))
    axis.set_xlabel('linear classifier on frozen features, top-1 %, with 95 % intervals')
    axis.spines[['top', 'right']].set_visible(False)
    figure.suptitle(textwrap.fill(sentence, 78), size=13, weight='bold', x=0.01, ha='left')
    axis.set_title(about, size=9, loc='left', color='#555555')
    figure.legend(handles=[*handles, line], frameon=False, fontsize=8, ncols=5, loc='outside lower left')
    return figure
