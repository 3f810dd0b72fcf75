import pytest
import torch

from looc_mm.augmentations import RandomResizedCrop, StylizedTexture
from looc_mm.testing import check_augmentation
from looc_mm.views import LeaveOneOutPipeline


def versions(batch: int, styles: int) -> torch.Tensor:
    """(B, 3 * (1 + K), 4, 4) whose every value tells the image and the version."""
    value = torch.arange(batch)[:, None] * 0.1 + torch.arange(1 + styles) * 0.01
    return value.repeat_interleave(3, 1)[:, :, None, None].expand(-1, -1, 4, 4)


def test_each_image_becomes_the_version_that_was_drawn(generator):
    texture = StylizedTexture(styles=3)
    images, params = versions(8, 3), texture.sample(8, generator, (4, 4))
    out = texture.apply(images, params)
    assert out.shape == (8, 3, 4, 4)
    for row in range(8):
        first = 3 * int(params['choice'][row])
        assert torch.equal(out[row], images[row, first : first + 3])
    assert torch.equal(texture.apply(images, texture.identity(8)), images[:, :3])


def test_draws(generator):
    choice = StylizedTexture(styles=4).sample(20000, generator, (4, 4))['choice']
    share = torch.bincount(choice, minlength=5) / len(choice)
    assert choice.dtype == torch.int64
    assert torch.allclose(share, torch.tensor([0.5, 0.125, 0.125, 0.125, 0.125]), atol=0.01)
    same = (choice[:10000] == choice[10000:]).float().mean()
    assert abs(same - (0.25 + 0.25 / 4)) < 0.02, "k_0's chance of the query's texture"
    assert (StylizedTexture(prob=0).sample(9, generator, (4, 4))['choice'] == 0).all()
    assert (StylizedTexture(prob=1).sample(99, generator, (4, 4))['choice'] > 0).all()


def test_the_vector_is_one_hot_for_a_choice_is_no_quantity():
    vector = StylizedTexture(styles=3).vector({'choice': torch.tensor([0, 1, 3])})
    assert vector.tolist() == [[0, 0, 0], [1, 0, 0], [0, 0, 1]]
    assert vector.dtype == torch.float32


@pytest.mark.parametrize('styles', [1, 4])
def test_keeps_the_contract(styles):
    check_augmentation(StylizedTexture(styles=styles))


def test_in_a_pipeline_the_key_shares_the_version(generator):
    pipeline = LeaveOneOutPipeline([StylizedTexture(styles=2, prob=1), RandomResizedCrop(size=4)], ['texture'])
    assert pipeline.in_channels == 9
    canvas = versions(6, 2)
    q, k_0, k_texture = pipeline.apply(canvas, pipeline.sample(6, generator, (4, 4)))
    assert torch.allclose(q.mean((1, 2, 3)), k_texture.mean((1, 2, 3)))
    assert not torch.allclose(q.mean((1, 2, 3)), k_0.mean((1, 2, 3)))


def test_wrong_settings_and_images_are_refused():
    with pytest.raises(ValueError, match='styles=0'):
        StylizedTexture(styles=0)
    with pytest.raises(ValueError, match=r'3 channels; it takes 15.*LoadStylized\(styles=4\)'):
        StylizedTexture().apply(torch.zeros(2, 3, 4, 4), {'choice': torch.zeros(2, dtype=torch.int64)})
    with pytest.raises(ValueError, match=r"\['texture'\] choose from candidates.*put it first"):
        LeaveOneOutPipeline([RandomResizedCrop(size=4), StylizedTexture()])
