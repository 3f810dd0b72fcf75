import json

import pytest
import torch
from torchvision.transforms.v2.functional import horizontal_flip, resized_crop

from looc_mm.evaluation import AugmentedLinearProbe


def probe(**kwargs):
    return dict(
        type='AugmentedLinearProbe', size=8, canvas=8, lr=0.1, epochs=6, batch_size=5, label='gt_label', **kwargs
    )


def test_without_crops_it_is_sgd_on_features_that_stay(build_runner, monkeypatch):
    monkeypatch.setattr(AugmentedLinearProbe, 'crop', lambda self, canvas, size, generator: canvas)
    sgd = dict(type='LinearProbe', label='gt_label', solver='sgd', lr=0.1, epochs=6, batch_size=5)
    runner = build_runner(protocols=[probe(), sgd])
    runner.test()
    augmented, plain = (each.classifier for each in runner.test_loop.protocols)
    torch.testing.assert_close(augmented.weight, plain.weight, rtol=0, atol=0)
    torch.testing.assert_close(augmented.bias, plain.bias, rtol=0, atol=0)


def test_every_epoch_has_its_own_crops_and_a_second_run_the_same(build_runner):
    runner = build_runner(protocols=[probe()])
    source, first = runner.test_loop.source, runner.test_loop.protocols[0]
    epochs = [first.epoch(source, 'gt_label', epoch) for epoch in (1, 2, 1)]
    torch.testing.assert_close(epochs[0].x, epochs[2].x, rtol=0, atol=0)
    assert not torch.isclose(epochs[0].x, epochs[1].x).all(1).any(), 'no image has the same crop twice'
    assert torch.equal(epochs[0].labels['gt_label'], source.features('train').labels['gt_label'])
    other_seed = AugmentedLinearProbe(size=8, canvas=8, seed=1).epoch(source, 'gt_label', 1)
    assert not torch.isclose(epochs[0].x, other_seed.x).all(1).any()
    again = build_runner(protocols=[probe()]).test_loop.protocols[0]
    assert list(first.run(source)) == list(again.run(source))


def test_a_crop_is_a_box_of_the_image_resized_and_maybe_flipped():
    canvas = torch.randint(256, (6, 3, 40, 40), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    size = torch.tensor([[40, 40]] * 6)
    probe = AugmentedLinearProbe(size=32, scale=(0.7, 0.9))
    got = probe.crop(canvas, size, torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(3)
    boxes = probe.augmentations[0].sample(6, generator, size)['box'] * 40
    flips = probe.augmentations[1].sample(6, generator, (32, 32))['flip']
    assert got.dtype == torch.uint8
    for image, out, (left, top, width, height), flip in zip(
        canvas, got, boxes.round().int().tolist(), flips, strict=True
    ):
        expected = resized_crop(image.float(), top, left, height, width, [32, 32], antialias=False)
        expected = horizontal_flip(expected) if flip else expected
        inner = (expected - out.float())[:, 1:-1, 1:-1]  # our crop's edge sees the pixel beyond, theirs repeats it
        assert inner.abs().max() <= 1


def test_the_record_says_how_the_layer_was_fitted(build_runner, tmp_path):
    build_runner(protocols=[probe(), dict(type='LinearProbe', label='gt_label')]).test()
    augmented, plain = json.loads((tmp_path / 'results.json').read_text())
    assert (augmented['protocol'], augmented['solver']) == ('linear', 'sgd on random crops')
    assert (plain['protocol'], plain['solver']) == ('linear', 'lbfgs')


def test_divergence_and_unknown_labels_are_told(build_runner):
    with pytest.raises(ValueError, match=r'diverged.*Lower lr='):
        build_runner(protocols=[{**probe(), 'lr': 1e6}]).test()
    with pytest.raises(ValueError, match="No label 'colour' in the dataset; it has"):
        build_runner(protocols=[{**probe(), 'label': 'colour'}]).test()
