import pytest
import torch

from looc_mm.evaluation.protocols.retrieval import Retrieval, search


def test_neighbours_by_plain_cosines():
    generator = torch.Generator().manual_seed(0)
    gallery, queries = torch.randn(40, 6, generator=generator), torch.randn(5, 6, generator=generator)
    for query, nearest in zip(queries, search(gallery, queries, 7), strict=True):
        cosine = [float(query @ row / query.norm() / row.norm()) for row in gallery]
        assert nearest.tolist() == sorted(range(40), key=lambda i: -cosine[i])[:7]


def test_figures_and_picture_of_a_run(build_runner, tmp_path):
    runner = build_runner(protocols=[dict(type='Retrieval', k=4, shown=3, pictures=2)])
    metrics = runner.test()
    train, test = (runner.test_loop.source.feature_set(split, 'random') for split in ('train', 'test'))
    nearest = search(train.parts['rotation'], test.parts['rotation'], 4)
    for label in ('gt_label', 'rotation'):
        hits = [train.labels[label][i] == test.labels[label][m] for m, row in enumerate(nearest) for i in row]
        assert metrics[f'retrieval/fake/rotation/same {label}@4'] == pytest.approx(100 * sum(hits).item() / len(hits))
    assert (tmp_path / 'retrieval.png').stat().st_size > 5000
    with pytest.raises(ValueError, match='k=3, shown=5'):
        Retrieval(k=3)
