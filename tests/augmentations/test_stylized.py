import pytest
import torch

from looc_mm import views as views_module
from looc_mm.augmentations import (
    ColorJitter,
    HorizontalFlip,
    RandomResizedCrop,
    RandomRightAngleRotation,
    StylizedTexture,
)
from looc_mm.testing import check_augmentation
from looc_mm.views import LeaveOneOutPipeline


def versions(batch: int, styles: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random images, (B, 3, 8, 8) uint8, and their candidates, (B, K, 3, 8, 8)."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (batch, 1 + styles, 3, 8, 8), dtype=torch.uint8, generator=generator)
    return images[:, 0], images[:, 1:]


class WithCandidates(StylizedTexture):
    """Makes candidates of the images, for the checker, which gives images alone."""

    def apply(self, images, params):
        made = [images.flip(2), images.flip(3), 1 - images, images**2]
        return super().apply(images, params, torch.stack(made[: self.styles], 1))


@pytest.mark.parametrize('dtype', [torch.uint8, torch.float32])
def test_each_image_becomes_the_version_that_was_drawn(generator, dtype):
    texture = StylizedTexture(styles=3)
    images, candidates = (each.to(dtype) for each in versions(32, 3))
    params = texture.sample(32, generator, (8, 8))
    out = texture.apply(images, params, candidates)
    assert out.shape == (32, 3, 8, 8) and out.dtype == dtype
    assert set(params['choice'].tolist()) == {0, 1, 2, 3}
    for row, choice in enumerate(params['choice'].tolist()):
        assert torch.equal(out[row], candidates[row, choice - 1] if choice else images[row])
    assert torch.equal(texture.apply(images, texture.identity(32), candidates), images)


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
    check_augmentation(WithCandidates(styles=styles))


def test_views_are_those_of_the_chosen_pictures(generator):
    """Oracle: a loop chooses the picture of each view, and a pipeline without texture makes the view of it."""
    others = [RandomResizedCrop(size=6), HorizontalFlip(), RandomRightAngleRotation(), ColorJitter()]
    pipeline = LeaveOneOutPipeline([StylizedTexture(styles=2), *others], ['texture', 'color'])
    canvas, candidates = versions(6, 2)
    table = pipeline.sample(6, generator, (30, 40))
    views = pipeline.apply(canvas, table, candidates)
    plain = LeaveOneOutPipeline(others, ['color'])
    for view, name in zip(views, pipeline.views, strict=True):
        choices = table[name]['texture']['choice'].tolist()
        chosen = [candidates[row, choice - 1] if choice else canvas[row] for row, choice in enumerate(choices)]
        assert torch.equal(view, plain.apply(torch.stack(chosen), dict.fromkeys(plain.views, table[name]))[0])
    q, _, k_texture, k_color = (table[name]['texture']['choice'] for name in pipeline.views)
    assert torch.equal(q, k_texture) and not torch.equal(q, k_color)
    more = torch.cat([candidates, canvas[:, None]], 1)
    assert torch.equal(pipeline.apply(canvas, table, more), views), 'candidates beyond K are not read'
    assert torch.equal(plain.apply(canvas, table, candidates), plain.apply(canvas, table)), (
        'nor without StylizedTexture'
    )


def test_a_large_batch_is_made_in_parts(generator, monkeypatch):
    pipeline = LeaveOneOutPipeline([StylizedTexture(styles=2), ColorJitter()], ['texture'])
    (canvas, candidates), table = versions(7, 2), pipeline.sample(7, generator, (8, 8))
    whole = pipeline.apply(canvas, table, candidates)
    monkeypatch.setattr(views_module, 'CPU_CHUNK', 3 * 3 * 8 * 8 * 2)
    assert torch.equal(pipeline.apply(canvas, table, candidates), whole)


def test_wrong_settings_and_candidates_are_refused():
    with pytest.raises(ValueError, match='styles=0'):
        StylizedTexture(styles=0)
    choice = {'choice': torch.zeros(2, dtype=torch.int64)}
    for candidates, given in ((None, 0), (torch.zeros(2, 3, 3, 4, 4), 3)):
        with pytest.raises(ValueError, match=rf'styles=4\) got {given} candidates.*LoadStylized\(styles=4\)'):
            StylizedTexture().apply(torch.zeros(2, 3, 4, 4), choice, candidates)
    with pytest.raises(ValueError, match=r"\['texture'\] choose from candidates.*put it first"):
        LeaveOneOutPipeline([RandomResizedCrop(size=4), StylizedTexture()])
