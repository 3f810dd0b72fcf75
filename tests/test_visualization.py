"""What is drawn is what was given: read back from the figure's artists."""

import numpy as np
import torch
from matplotlib.figure import Figure

from looc_mm.views import LeaveOneOutPipeline
from looc_mm.visualization import draw_probes, draw_views


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
