import pytest
import torch

from looc_mm.evaluation import Retrieval
from looc_mm.evaluation.nearest import nearest


def test_figures_and_picture_of_a_run(build_runner, tmp_path):
    runner = build_runner(protocols=[dict(type='Retrieval', k=4, shown=3, pictures=2)])
    metrics = runner.test()
    train, test = (runner.test_loop.source.feature_set(split, 'random') for split in ('train', 'test'))
    _, index = nearest(train.parts['rotation'], test.parts['rotation'], 4)
    for label in ('gt_label', 'rotation'):
        hits = [train.labels[label][i] == test.labels[label][m] for m, row in enumerate(index) for i in row]
        assert metrics[f'retrieval/fake/rotation/same {label}@4'] == pytest.approx(100 * sum(hits).item() / len(hits))
    assert (tmp_path / 'retrieval.png').stat().st_size > 5000
    with pytest.raises(ValueError, match='k=3, shown=5'):
        Retrieval(k=3)
    with pytest.raises(ValueError, match='retrieval cannot run: it needs k=400 training images, and there are 21'):
        build_runner(protocols=[dict(type='Retrieval', k=400)]).test()


def test_classes_of_one_picture_and_queries_by_a_loop(build_runner):
    """A class of one gallery picture: its queries find it once, and k - 1 others. No query finds itself."""
    runner = build_runner(protocols=[dict(type='Retrieval', k=4, shown=1, pictures=1, rotate=False)])
    source = runner.test_loop.source
    gallery, queries = (source.feature_set(split) for split in ('train', 'test'))
    gallery.labels['gt_label'] = torch.arange(21)  # one picture each
    queries.labels['gt_label'] = torch.arange(22) % 21
    got = runner.test()['retrieval/fake/V/same gt_label@4']
    found = 0
    for row, query in enumerate(queries.parts['V']):
        cosines = torch.cosine_similarity(query[None], gallery.parts['V'])
        found += row % 21 in cosines.argsort(descending=True)[:4].tolist()
    assert got == pytest.approx(100 * found / (22 * 4)) and got < 25


@pytest.mark.parametrize(
    'label, message', [(0, r"one class of 'gt_label' \(\[0\]\)"), (-1, '1 of 21 images have a neg')]
)
def test_labels_that_say_nothing_are_refused(build_runner, label, message):
    runner = build_runner(protocols=[dict(type='Retrieval', rotate=False)])
    labels = runner.test_loop.source.feature_set('train').labels
    labels['gt_label'] = labels['gt_label'].clone()
    labels['gt_label'][: 1 if label else None] = label
    with pytest.raises(ValueError, match=message):
        runner.test()
