"""What is drawn is what was given: read back from the figure's artists."""

import numpy as np
import torch
from matplotlib.figure import Figure

from looc_mm.views import LeaveOneOutPipeline
from looc_mm.visualization import Neighbour, draw_answer, draw_neighbours, draw_probes, draw_views


def test_views_stand_under_their_spaces_names(photographs):
    pipeline = LeaveOneOutPipeline([dict(type='RandomResizedCrop', size=32), dict(type='RandomRightAngleRotation')])
    figure = Figure()
    samples = [
        {'inputs': torch.from_numpy(photo).permute(2, 0, 1), 'image_size': torch.tensor([300, 200])}
        for photo in photographs
    ]
    draw_views(figure, pipeline, samples, seed=4)
    axes = np.array(figure.axes).reshape(2, 4)
    assert [axis.get_title().split()[-1] for axis in axes[0]] == ['canvas', 'query', 'invariant', 'rotation']
    generator = torch.Generator().manual_seed(4)
    for row, sample in zip(axes, samples, strict=True):
        canvas = sample['inputs'][None]
        views = pipeline.apply(canvas, pipeline.sample(1, generator, (300, 200)))[:, 0]
        for axis, view in zip(row[1:], views, strict=True):
            assert np.allclose(axis.images[0].get_array(), view.permute(1, 2, 0))


def test_views_choose_from_the_candidates_of_a_sample(photographs):
    canvas, other = (torch.from_numpy(photo).permute(2, 0, 1) for photo in photographs)
    sample = {'inputs': canvas, 'image_size': torch.tensor([300, 200]), 'candidates': other[None]}
    figure = Figure()
    draw_views(figure, LeaveOneOutPipeline([dict(type='StylizedTexture', styles=1, prob=1)]), [sample])
    shown = [axis.images[0].get_array() for axis in figure.axes]
    assert len(shown) == 4
    for picture, expected in zip(shown, (canvas, other, other, other), strict=True):
        assert np.allclose(picture, expected.permute(1, 2, 0) / 255)


def test_bars_are_the_scores():
    axis = Figure().subplots()
    scores = {'moco': {'color': 40.0, 'shape': 60.0}, 'looc': {'color': 90.0, 'shape': 61.0}}
    draw_probes(axis, scores, chance={'color': 12.5, 'shape': 25.0})
    assert [bar.get_height() for bar in axis.patches] == [40, 60, 90, 61]
    assert [label.get_text() for label in axis.get_xticklabels()] == ['color', 'shape']
    assert {text.get_text() for text in axis.get_legend().get_texts()} == {'moco', 'looc', 'chance'}


def test_neighbours_name_their_class_and_mark_hits(photographs):
    query, hit, miss = (Neighbour(photographs[0], *each) for each in (('cat',), ('cat', True), ('dog', False)))
    figure = draw_neighbours([(query, {'V': [hit, miss], 'color': [miss, hit]})], turned=True)
    axes = np.array(figure.axes).reshape(2, 3)
    titles = [[axis.get_title() for axis in line] for line in axes]
    assert titles == [['query: cat', '✓ cat', '✗ dog'], ['', '✗ dog', '✓ cat']]
    assert [line[1].get_ylabel() for line in axes] == ['V', 'Z: color']
    colors = [axis.spines['left'].get_edgecolor() for axis in axes[0, 1:]]
    assert colors[0] != colors[1] and all(axis.spines['left'].get_visible() for axis in axes[0, 1:])
    assert 'turned by a random right angle' in figure.get_suptitle() and "query's class" in figure.get_suptitle()
    plain = draw_neighbours([(Neighbour(photographs[0]), {'V': [Neighbour(photographs[1])]})], turned=False)
    assert plain.get_suptitle() == 'Nearest training pictures.' and plain.axes[1].get_title() == ''


def test_answer_has_bars_intervals_and_the_sentence():
    rows = [
        ('HOG', 40.0, (37.0, 43.5), 'worse'),
        ('V', 60.0, (57.0, 63.0), None),
        ('V + HOG', 66.0, (63.0, 69.0), 'better'),
    ]
    figure = draw_answer('Use V + HOG.', 'about', rows, guess=25.0, baselines=['HOG'])
    (axis,) = figure.axes
    assert figure.get_suptitle() == 'Use V + HOG.' and axis.get_title(loc='left') == 'about'
    assert [bar.get_width() for bar in axis.patches] == [40, 60, 66]
    assert len({bar.get_facecolor() for bar in axis.patches}) == 3
    ends = [lines[0].get_segments()[0][:, 0].tolist() for *_, lines in (each.lines for each in axis.containers[1::2])]
    assert ends == [[37, 43.5], [57, 63], [63, 69]]
    assert [label.get_text() for label in axis.get_yticklabels()] == ['HOG', 'V', 'V + HOG']
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        *('V', 'better than V', 'worse', 'guessing the most frequent class')
    ]
