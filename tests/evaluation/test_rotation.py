import pytest
import torch

from looc_mm.evaluation import Features, RotationProbe


def test_orientation_is_read_from_features_that_carry_it():
    turns = torch.arange(40) % 4
    carrying = Features(torch.eye(4)[turns], {'rotation': turns})
    blind = Features(torch.ones(40, 4), {'rotation': turns})
    (score,) = RotationProbe().evaluate(carrying, carrying, 'rotation')
    assert (score.metric, score.value, score.solver) == ('top1', 100.0, 'lbfgs')
    (score,) = RotationProbe().evaluate(blind, blind, 'rotation')
    assert score.value == pytest.approx(25)


def test_a_random_angle_in_training_and_all_four_in_test():
    assert (RotationProbe.rotate_train, RotationProbe.rotate_test) == ('random', 'all')
