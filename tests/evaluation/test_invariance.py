from types import SimpleNamespace

import torch

from looc_mm.evaluation import InvarianceMatrix
from looc_mm.evaluation.protocols.invariance import invariance
from looc_mm.models import LeaveOneOutPreprocessor
from looc_mm.views import LeaveOneOutPipeline
from looc_mm.visualization import draw_matrix
from tests.models.test_multi_head_moco import build

CANVAS = torch.randint(0, 255, (6, 3, 40, 40), generator=torch.Generator().manual_seed(0)).byte()


class Colours(torch.nn.Module):
    """Its V is the mean colour, which no geometry changes; its space the brightness of the left half."""

    def __init__(self, preprocessor):
        super().__init__()
        self.data_preprocessor = preprocessor

    def representations(self, images):
        left = images[..., : images.shape[-1] // 2].mean((1, 2, 3))
        return {'V': images.mean((2, 3)), 'left': torch.stack([left, images.mean((1, 2, 3))], 1)}


def test_cosines_of_views_that_differ_in_one_thing():
    model = Colours(build().data_preprocessor)
    names, matrix = invariance(model, CANVAS, seed=3, batch_size=4)
    columns = [each.name for each in model.data_preprocessor.pipeline.augmentations]
    assert names == ['V', 'left'] and matrix.shape == (2, 4)
    got = {column: matrix[0, c].item() for c, column in enumerate(columns)}
    assert got['rotation'] > 0.9999 and got['flip'] > 0.9999, 'the mean colour is the same upside down'
    assert got['color'] < 0.99 and got['crop'] < 1
    assert matrix[1, columns.index('flip')] < 0.9999, 'the left half is another one'


def test_candidates_are_chosen_from():
    """With one candidate, twice as bright, V of a view is the mean of the one or the other."""
    dim = CANVAS // 2
    texture = LeaveOneOutPipeline([dict(type='StylizedTexture', styles=1)], ['texture'])
    model = Colours(LeaveOneOutPreprocessor(texture, mean=(0.4, 0.3, 0.2), std=(1, 1, 1)))
    _, matrix = invariance(model, dim, seed=3, batch_size=4, candidates=2 * dim[:, None])
    means = [(factor * dim / 255).mean((2, 3)) - torch.tensor([0.4, 0.3, 0.2]) for factor in (1, 2)]
    two, generator = LeaveOneOutPipeline(texture.augmentations, []), torch.Generator().manual_seed(3)
    drawn = [two.sample(size, generator, (40, 40)) for size in (4, 2)]
    q, k = (torch.cat([each[view]['texture']['choice'] for each in drawn]) for view in ('q', 'k_0'))
    cosines = [
        torch.cosine_similarity(means[a][i], means[b][i], 0)
        for i, (a, b) in enumerate(zip(q, k, strict=True))
        if a != b
    ]
    assert 0 < len(cosines) < 6 and abs(matrix[0, 0] - torch.stack(cosines).mean()) < 1e-5 and matrix[0, 0] < 0.99


def test_by_a_loop_over_images():
    model = build().eval()
    _, matrix = invariance(model, CANVAS, seed=5, batch_size=6)
    pipeline = model.data_preprocessor.pipeline
    two = LeaveOneOutPipeline(pipeline.augmentations, leave_one_out=[])
    table = two.sample(6, torch.Generator().manual_seed(5), (40, 40))
    index = [each.name for each in pipeline.augmentations].index('rotation')
    cosines = []
    for i in range(6):
        q = {name: {key: value[i : i + 1] for key, value in params.items()} for name, params in table['q'].items()}
        k = {**q, 'rotation': {key: value[i : i + 1] for key, value in table['k_0']['rotation'].items()}}
        if q['rotation']['quarter_turns'] == k['rotation']['quarter_turns']:
            continue
        views = model.data_preprocessor.normalise(two.apply(CANVAS[i : i + 1], {'q': q, 'k_0': k}))
        with torch.no_grad():
            a, b = (model.extract_feat(view, ['color'])[0] for view in views)
        cosines.append(float(a @ b))
    names = ['V', *model.spaces]
    assert 0 < len(cosines) < 6
    assert abs(matrix[names.index('color'), index].item() - sum(cosines) / len(cosines)) < 1e-4


def test_an_augmentation_that_never_differs_has_no_cosine():
    """It had 0: further from the query than any other."""
    pipeline = LeaveOneOutPipeline([dict(type='HorizontalFlip', prob=1.0), dict(type='ColorJitter', prob=1.0)], [])
    model = Colours(LeaveOneOutPreprocessor(pipeline))
    names, matrix = invariance(model, CANVAS, seed=3, batch_size=4)
    assert names == ['V', 'left'] and matrix[:, 0].isnan().all() and matrix[:, 1].isfinite().all()
    data = [dict(inputs=image) for image in CANVAS]
    source = SimpleNamespace(model=model, dataset=lambda split: data, states={}, not_learnt=[])
    *scores, drawing = InvarianceMatrix().run(source)
    assert {each.metric for each in scores} == {'cosine/color'} and len(scores) == 2
    assert [text.get_text() for text in drawing.figure.axes[0].texts][::2] == ['-', '-']


def test_it_is_drawn():
    figure = draw_matrix(torch.tensor([[0.2, 1.0]]), ['V'], ['color', 'flip'])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ['0.20', '1.00']
