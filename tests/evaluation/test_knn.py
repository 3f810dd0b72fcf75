import math

import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from looc_mm.evaluation import Features, KNNProbe


def clusters(n: int, seed: int) -> Features:
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(7, (n,), generator=draw)
    centres = torch.randn(7, 10, generator=torch.Generator().manual_seed(9))
    return Features(centres[labels] + 1.5 * torch.randn(n, 10, generator=draw), {'gt_label': labels})


def test_equal_votes_as_scikit_learn():
    train, test = clusters(300, 0), clusters(100, 1)
    oracle = KNeighborsClassifier(5, metric='cosine').fit(train.x.numpy(), train.labels['gt_label'].numpy())
    votes = KNNProbe(k=5, temperature=None).votes(train.x, train.labels['gt_label'], test.x).exp() / 5
    assert torch.allclose(votes.double(), torch.from_numpy(oracle.predict_proba(test.x.numpy())), atol=1e-6)


def test_weighted_votes_by_a_loop():
    train, test = clusters(60, 0), clusters(9, 1)
    votes = KNNProbe(k=4, temperature=0.3).votes(train.x, train.labels['gt_label'], test.x)
    for query, got in zip(test.x, votes, strict=True):
        cosines = [torch.dot(query, key) / query.norm() / key.norm() for key in train.x]
        expected: dict[int, float] = {}
        for row in sorted(range(60), key=lambda i: -cosines[i])[:4]:
            name = int(train.labels['gt_label'][row])
            expected[name] = expected.get(name, 0) + float(torch.exp(cosines[row] / 0.3))
        assert got.exp().tolist() == pytest.approx([expected.get(name, 0) for name in range(7)], rel=1e-4)


def test_top5_differs_from_top1_and_errors_say_what_is_allowed():
    train, test = clusters(300, 0), clusters(100, 1)
    top1, top5 = KNNProbe().evaluate(train, test, 'gt_label')
    assert (top1.metric, top5.metric) == ('top1', 'top5') and 100 / 7 < top1.value < top5.value
    with pytest.raises(ValueError, match='k=400 and 300 training samples'):
        list(KNNProbe(k=400).evaluate(train, test, 'gt_label'))
    with pytest.raises(ValueError, match='temperature=0'):
        KNNProbe(temperature=0)
    with pytest.raises(ValueError, match="No label 'color'"):
        KNNProbe(label='color').labels(train, test)


def test_top5_counts_classes_with_a_vote_alone():
    """One neighbour votes for one class: the other four are no guesses."""
    train, test = clusters(300, 0), clusters(100, 1)
    top1, top5 = KNNProbe(k=1).evaluate(train, test, 'gt_label')
    assert top1.value == top5.value < 100
    _, top5 = KNNProbe(k=20).evaluate(train, test, 'gt_label')
    hits = 0
    for query, label in zip(test.x, test.labels['gt_label'], strict=True):
        votes = dict.fromkeys(range(7), 0.0)
        for row in torch.cosine_similarity(query[None], train.x).topk(20).indices:
            cosine = torch.cosine_similarity(query, train.x[row], dim=0)
            votes[int(train.labels['gt_label'][row])] += float(torch.exp(cosine / 0.07))
        guesses = sorted((name for name, vote in votes.items() if vote), key=lambda name: -votes[name])[:5]
        hits += int(label) in guesses
    assert top5.value == pytest.approx(hits)


@pytest.mark.parametrize('temperature', [0.005, 0.0001])
def test_no_temperature_is_too_low_for_a_vote(temperature):
    """exp(cosine / 0.005) is infinite in float32, so votes were equal; exp(-200) is 0, which was no vote."""
    train, test = clusters(300, 0), clusters(100, 1)
    top1, top5 = KNNProbe(k=20, temperature=temperature).evaluate(train, test, 'gt_label')
    right = among = 0
    for query, label in zip(test.x, test.labels['gt_label'].tolist(), strict=True):
        cosines = torch.cosine_similarity(query[None], train.x).double()
        votes: dict[int, float] = {}
        for row in cosines.topk(20).indices.tolist():
            name, log = int(train.labels['gt_label'][row]), float(cosines[row]) / temperature
            votes[name] = max(votes.get(name, -math.inf), log) + math.log1p(
                math.exp(-abs(votes.get(name, -math.inf) - log))
            )
        order = sorted(votes, key=lambda name: -votes[name])
        right, among = right + (order[0] == label), among + (label in order[:5])
    assert (top1.value, top5.value) == (pytest.approx(right), pytest.approx(among))
