"""Pictures: the views of an image, and the probes of several representations."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from torch import Tensor

from looc_mm.views import LeaveOneOutPipeline

COLORS = ('#8a8f98', '#d1495b', '#2e86ab', '#edae49', '#3c896d')  # bars by method, in order


def draw_views(
    figure: Figure | SubFigure, pipeline: LeaveOneOutPipeline, samples: Sequence[Mapping[str, Tensor]], seed: int = 0
) -> None:
    """Draw a row for each sample: its canvas, q, k_0 and every k_i under the name of its space.

    Args:
        figure: Where to draw.
        pipeline: What makes the views.
        samples: What a dataset gives: ``inputs`` (3, H, W) uint8 RGB, ``image_size`` (2,) of the original.
        seed: Of the view table.
    """
    generator = torch.Generator().manual_seed(seed)
    axes = figure.subplots(len(samples), 1 + len(pipeline.views), squeeze=False)
    for row, sample in zip(axes, samples, strict=True):
        canvas = sample['inputs'][None]
        views = pipeline.apply(canvas, pipeline.sample(1, generator, sample['image_size'][None]))[:, 0]
        pictures = [canvas[0, :3] / 255, *views]  # each 3 x H x W
        for axis, picture in zip(row, [each.permute(1, 2, 0).numpy() for each in pictures], strict=True):
            axis.imshow(picture, interpolation='nearest')
            axis.set_axis_off()
    titles = ['canvas', '$q$\nthe query', '$k_0$\nspace: invariant']
    titles += [f'$k_{{{space}}}$\nspace: {space}' for space in pipeline.spaces[1:]]
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=9)


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
