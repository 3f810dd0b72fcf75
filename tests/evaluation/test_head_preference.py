import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from looc_mm.evaluation.features import FeatureSet
from looc_mm.evaluation.protocols.base import Score
from looc_mm.evaluation.protocols.head_preference import HeadPreference, entropy, preference


def test_shares_by_the_sum_written_out():
    generator = torch.Generator().manual_seed(0)
    features, weight = torch.randn(6, 5, generator=generator), torch.randn(3, 5, generator=generator)
    labels = torch.tensor([0, 1, 2, 2, 1, 0])
    got = preference(features, weight, labels, [2, 3])
    for n in range(6):
        c = [
            max(0.0, sum(float(weight[labels[n], d] * features[n, d]) for d in dimensions))
            for dimensions in ((0, 1), (2, 3, 4))
        ]
        expected = [each / sum(c) for each in c] if sum(c) else [0, 0]
        assert got[n].tolist() == pytest.approx(expected, abs=1e-5)


def test_a_head_that_alone_carries_the_class_takes_all():
    features, weight = torch.tensor([[0.0, 0.0, 2.0]]), torch.tensor([[5.0, 5.0, 1.0]])
    assert preference(features, weight, torch.tensor([0]), [2, 1]).tolist() == [[0, 1]]


@pytest.mark.parametrize('shares, bits', [([0.25] * 4, 2), ([0.5, 0.5, 0, 0], 1), ([1, 0, 0], 0)])
def test_entropy_in_bits(shares, bits):
    assert entropy(torch.tensor(shares, dtype=torch.float)) == pytest.approx(bits, abs=1e-6)
    thirds = entropy(torch.full((3,), 1 / 3))
    assert thirds == pytest.approx(math.log2(3), abs=1e-6)


def test_figures_and_picture_of_a_run(build_runner, tmp_path):
    metrics = build_runner(protocols=[dict(type='HeadPreference', label='gt_label')]).test()
    shares = [value for name, value in metrics.items() if '/share/' in name]
    assert len(shares) == 2 and sum(shares) == pytest.approx(100, abs=1e-3)
    assert 0 <= metrics['head_preference/fake/invariant+rotation/entropy'] <= 1
    assert (tmp_path / 'head_preference.png').stat().st_size > 5000


def test_weights_count_relative_to_their_mean_over_the_classes():
    """A classifier with the same large weights added for every class: they change no decision and no share."""
    generator = torch.Generator().manual_seed(0)
    weight, common = torch.randn(3, 5, generator=generator), torch.tensor([9.0, 9, 0, 0, 0])
    x = torch.rand(40, 5, generator=generator)
    labels = (x @ weight.t()).argmax(1)

    class Fitted:
        def fit(self, *args):
            self.weight, self.bias = weight + common, torch.zeros(3)

        def predict(self, features):
            return features @ self.weight.t()

    values = preferences(Fitted(), x, labels)
    for prefix, added in (('', -weight.mean(0)), ('raw ', common)):
        shares = []
        for row, label in zip(x, labels, strict=True):
            products = [float(row[d] * (weight[label, d] + added[d])) for d in range(5)]
            c = [max(sum(products[:2]), 0), max(sum(products[2:]), 0)]
            shares += [c[0] / sum(c)] if sum(c) else []
        assert values[f'{prefix}share/invariant'] == pytest.approx(100 * sum(shares) / len(shares), abs=1e-3)
    assert abs(values['share/invariant'] - values['raw share/invariant']) > 5


def preferences(classifier, x: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """The values for two spaces, of 2 dimensions and the rest, by a given classifier."""
    protocol = HeadPreference(pictures=1)
    protocol.classifier = classifier
    features = FeatureSet({'invariant': x[:, :2], 'color': x[:, 2:]}, {'gt_label': labels})
    source = SimpleNamespace(name='fake', image=lambda split, row: np.zeros((8, 8, 3), np.uint8))
    found = protocol.preferences(source, features, features, 'gt_label')
    return {each.metric: each.value for each in found if isinstance(each, Score)}


def test_an_image_for_which_no_space_speaks_counts_in_no_mean():
    """Such an image had equal shares, and a win of the first space."""

    class Fitted:
        weight, bias = torch.tensor([[1.0, 0, 0, 3], [-1, 0, 0, -3]]), torch.tensor([0.0, 100])

        def fit(self, *args):
            pass

        def predict(self, features):
            return torch.tensor([[1.0, 0], [1, 0], [0, 1]])

    x = torch.tensor([[1.0, 0, 0, 1], [1, 0, 0, 2], [1, 0, 0, 1]])  # the last is right by the bias alone
    with pytest.warns(UserWarning, match='no space speaks for the class of 1 of 3 correctly classified images'):
        values = preferences(Fitted(), x, torch.tensor([0, 0, 1]))
    assert values['share/invariant'] == pytest.approx(100 * (1 / 4 + 1 / 7) / 2)
    assert (values['wins/invariant'], values['wins/color']) == (0, 100)
    x[2] = -x[2]
    with pytest.raises(ValueError, match='found no image for whose class a space speaks'):
        preferences(Fitted(), -x, torch.tensor([0, 0, 1]))
