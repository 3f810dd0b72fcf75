import pytest
import torch

from looc_mm.models import LeaveOneOutPreprocessor
from looc_mm.views import LeaveOneOutPipeline

PIPELINE = dict(
    type='LeaveOneOutPipeline',
    augmentations=[
        dict(type='RandomResizedCrop', size=32),
        dict(type='RandomRightAngleRotation'),
        dict(type='ColorJitter'),
    ],
)


@pytest.fixture
def canvas() -> torch.Tensor:
    return torch.randint(0, 256, (6, 3, 40, 40), dtype=torch.uint8)


def test_training_makes_normalised_views(canvas):
    module = LeaveOneOutPreprocessor(PIPELINE, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    torch.manual_seed(3)
    out = module({'inputs': canvas, 'image_size': torch.full((6, 2), 100)}, training=True)
    assert out['inputs'].shape == (4, 6, 3, 32, 32) and out['inputs'].dtype == torch.float32
    assert set(out) == {'inputs'}
    torch.manual_seed(3)
    generator = torch.Generator().manual_seed(int(torch.randint(2**62, ())))
    pipeline = LeaveOneOutPipeline(PIPELINE['augmentations'])
    views = pipeline.apply(canvas, pipeline.sample(6, generator, (100, 100)))
    expected = (views - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / torch.tensor([0.5, 0.6, 0.7]).view(3, 1, 1)
    assert torch.equal(out['inputs'], expected)


def test_views_choose_from_the_candidates_of_the_batch(canvas):
    candidates = torch.randint(0, 256, (6, 2, 3, 40, 40), dtype=torch.uint8)
    texture = dict(type='StylizedTexture', styles=2)
    module = LeaveOneOutPreprocessor({**PIPELINE, 'augmentations': [texture, *PIPELINE['augmentations']]})
    module.keep_table = True
    out = module({'inputs': canvas, 'candidates': candidates}, training=True)
    again = module.normalise(module.pipeline.apply(canvas, out['table'], candidates))
    assert torch.equal(out['inputs'], again)
    assert any((row['texture']['choice'] > 0).any() for row in out['table'].values())
    plain = module({'inputs': canvas, 'candidates': candidates})['inputs']
    assert torch.equal(plain, module({'inputs': canvas})['inputs']), 'evaluation takes the originals'
    with pytest.raises(ValueError, match=r'got 0 candidates.*LoadStylized\(styles=2\)'):
        module({'inputs': canvas}, training=True)


def test_the_table_is_handed_on_and_labels_are_not(canvas):
    module = LeaveOneOutPreprocessor(PIPELINE)
    module.keep_table = True
    out = module({'inputs': canvas, 'labels': {'gt_label': torch.arange(6)}}, training=True)
    assert set(out) == {'inputs', 'table'}
    again = module.normalise(module.pipeline.apply(canvas, out['table']))
    assert torch.equal(out['inputs'], again), 'the table describes the views'


def test_evaluation_gives_one_plain_batch(canvas):
    out = LeaveOneOutPreprocessor(PIPELINE)({'inputs': canvas, 'labels': {}})
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    assert torch.equal(out['inputs'], (canvas / 255 - mean) / std)


def test_views_are_float32_under_autocast(canvas):
    module = LeaveOneOutPreprocessor(PIPELINE)
    torch.manual_seed(0)
    plain = module({'inputs': canvas}, training=True)['inputs']
    torch.manual_seed(0)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(module({'inputs': canvas}, training=True)['inputs'], plain)


def test_anything_but_a_canvas_batch_is_refused(canvas):
    module = LeaveOneOutPreprocessor(PIPELINE)
    for inputs, got in (
        (list(canvas), 'list of 6'),
        (canvas[0], r'\(3, 40, 40\)'),
        (canvas.repeat(1, 2, 1, 1), '6, 40'),
    ):
        with pytest.raises(ValueError, match=f'{got}.*LoadCanvas.*default_collate'):
            module({'inputs': inputs}, training=True)
