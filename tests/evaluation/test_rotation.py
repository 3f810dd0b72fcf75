import pytest
import torch

from looc_mm.evaluation import Features, RotationProbe


def test_orientation_is_read_from_features_that_carry_it():
    turns = torch.arange(40) % 4
    carrying = Features(torch.eye(4)[turns], {'rotation': turns})
    blind = Features(torch.ones(40, 4), {'rotation': turns})
    (score,) = RotationProbe().evaluate(carrying, carrying)
    assert score == {'metric': 'top1', 'value': 100.0, 'ci': None, 'solver': 'lbfgs', 'factor': 'rotation'}
    (score,) = RotationProbe().evaluate(blind, blind)
    assert score['value'] == pytest.approx(25)


def test_a_random_angle_in_training_and_all_four_in_test():
    assert (RotationProbe.rotate_train, RotationProbe.rotate_test) == ('random', 'all')
