import pytest

from looc_mm.evaluation import Retrieval
from looc_mm.evaluation.nearest import nearest


def test_figures_and_picture_of_a_run(build_runner, tmp_path):
    runner = build_runner(protocols=[dict(type='Retrieval', k=4, shown=3, pictures=2)])
    metrics = runner.test()
    train, test = (runner.test_loop.bank(split, 'random') for split in ('train', 'test'))
    _, index = nearest(train.parts['rotation'], test.parts['rotation'], 4)
    for label in ('gt_label', 'rotation'):
        hits = [train.labels[label][i] == test.labels[label][m] for m, row in enumerate(index) for i in row]
        assert metrics[f'retrieval/fake/rotation/same {label}@4'] == pytest.approx(100 * sum(hits).item() / len(hits))
    assert (tmp_path / 'retrieval.png').stat().st_size > 5000
    with pytest.raises(ValueError, match='k=3, shown=5'):
        Retrieval(k=3)
    with pytest.raises(ValueError, match='k=400 and .* training samples'):
        build_runner(protocols=[dict(type='Retrieval', k=400)]).test()
