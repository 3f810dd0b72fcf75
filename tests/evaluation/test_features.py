import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from looc_mm.evaluation import extract

from .fake import FakeImages, FakeModel


class Pixels(nn.Module):
    """Features are the pixels themselves."""

    def data_preprocessor(self, batch, training):
        assert not training
        return {'inputs': batch['inputs'].float()}

    def representations(self, images):
        return {'V': images[:, 0].flatten(1)}


def extract_features(model, loader, spaces=None, *args, **kwargs):
    return extract(model, loader, *args, **kwargs).select(spaces)


def test_features_and_labels_come_in_dataset_order(build_loader):
    model = FakeModel().train()
    features = extract_features(model, build_loader())
    data = FakeImages()
    assert model.training, 'the mode is put back'
    assert features.x.shape == (21, 8) and features.x.dtype == torch.float32 and not features.x.requires_grad
    assert torch.equal(features.labels['gt_label'], data.label)
    with torch.no_grad():
        expected = model.eval().representations(data.images.float() / 255)['V']
    torch.testing.assert_close(features.x, expected)


def test_spaces_are_those_asked_for(build_loader):
    model = FakeModel()
    v = extract_features(model, build_loader()).x
    assert torch.equal(extract_features(model, build_loader(), spaces=['rotation']).x, v[:, 4:])


def test_all_four_rotations_of_every_image(build_loader):
    features = extract_features(Pixels(), build_loader(), rotate='all')
    images = features.x.view(21, 4, 8, 8)
    assert torch.equal(features.labels['rotation'].view(21, 4), torch.arange(4).expand(21, 4))
    assert torch.equal(features.labels['gt_label'].view(21, 4), FakeImages().label[:, None].expand(21, 4))
    # counter-clockwise, the white corner goes top left -> bottom left -> bottom right -> top right
    for turns, (row, column) in enumerate([(0, 0), (7, 0), (7, 7), (0, 7)]):
        assert (images[:, turns, row, column] == 255).all()


def test_random_rotation_belongs_to_the_sample(build_loader):
    features = extract_features(Pixels(), build_loader(batch_size=4), rotate='random', seed=3)
    corner = {0: (0, 0), 1: (7, 0), 2: (7, 7), 3: (0, 7)}
    for image, turns in zip(features.x.view(21, 8, 8), features.labels['rotation'].tolist(), strict=True):
        assert image[corner[turns]] == 255
    assert set(features.labels['rotation'].tolist()) == {0, 1, 2, 3}
    assert torch.equal(extract_features(Pixels(), build_loader(batch_size=7), rotate='random', seed=3).x, features.x)
    assert not torch.equal(extract_features(Pixels(), build_loader(), rotate='random', seed=4).x, features.x)


def test_two_processes_give_bitwise_what_one_gives(build_loader, tmp_path):
    torch.manual_seed(0)
    model = FakeModel()
    torch.save(model.state_dict(), tmp_path / 'model.pth')
    alone = {rotate: extract_features(model, build_loader(), None, rotate, 5) for rotate in (None, 'random', 'all')}

    worker = Path(__file__).with_name('two_processes.py')
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2', worker, tmp_path]
    subprocess.run([str(part) for part in command], check=True, timeout=300)
    for rank in (0, 1):
        for rotate, features in torch.load(tmp_path / f'rank{rank}.pth').items():
            assert torch.equal(features['x'], alone[rotate].x)
            assert features['labels'].keys() == alone[rotate].labels.keys()
            assert all(torch.equal(label, alone[rotate].labels[key]) for key, label in features['labels'].items())


def test_amp_runs_the_model_under_autocast(build_loader):
    model = FakeModel()
    full, half = (extract_features(model, build_loader(), amp=amp).x for amp in (False, True))
    assert half.dtype == torch.float32 and not torch.equal(full, half)
    torch.testing.assert_close(full, half, rtol=0.05, atol=0.02)


def test_errors(build_loader):
    with pytest.raises(ValueError, match="'random' or 'all', got 'some'"):
        extract_features(Pixels(), build_loader(), rotate='some')
    shuffled = torch.utils.data.DataLoader(FakeImages(), batch_size=4, shuffle=True)
    with pytest.raises(ValueError, match='in order; use sampler'):
        extract_features(Pixels(), shuffled)
    short = torch.utils.data.DataLoader(FakeImages(), batch_size=4, drop_last=True)
    with pytest.raises(ValueError, match='drop_last=False'):
        extract_features(Pixels(), short)
