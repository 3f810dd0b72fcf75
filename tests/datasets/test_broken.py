"""Broken pictures are replaced by others that depend on the index and the epoch alone."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.dataset import default_collate
from torch.utils.data import DataLoader

from looc_mm.datasets import ImageFolder
from looc_mm.datasets.broken import BROKEN, READ, check_share, list_broken
from looc_mm.datasets.decoding import PictureError
from tests.datasets.test_decoding import png

PIPELINE = [dict(type='LoadCanvas', size=8, ignore_broken=True), dict(type='PackCanvas')]
GOOD, BAD = 12, {12: b'', 13: b'<html>', 14: png(40_000, 40_000), 15: None}


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Twelve pictures of different grey levels, and four that are empty, no picture, a bomb, and gone."""
    for row in range(GOOD):
        cv2.imwrite(str(tmp_path / f'{row:02}.png'), np.full((9, 9, 3), 10 * row + 5, np.uint8))
    for row, content in BAD.items():
        path = tmp_path / f'{row:02}.png'
        path.symlink_to('nowhere') if content is None else path.write_bytes(content)
    return tmp_path


def levels(dataset: ImageFolder, epoch: int, workers: int, method: str | None = None) -> list[int]:
    """The grey level of each sample."""
    dataset.marks.epoch.fill_(epoch)
    loader = DataLoader(dataset, 4, num_workers=workers, collate_fn=default_collate, multiprocessing_context=method)
    return [int(level) for batch in loader for level in batch['inputs'][:, 0, 0, 0]]


def test_the_replacement_depends_on_index_and_epoch_alone(pictures):
    dataset = ImageFolder(str(pictures), pipeline=PIPELINE)
    expected = [10 * row + 5 for row in range(GOOD)]
    for row in BAD:  # the first good one of the draws of a generator that is seeded with the epoch and the index
        rng = np.random.default_rng((3, row))
        draws = [int(rng.integers(16)) for _ in range(50)]
        expected.append(10 * next(each for each in draws if each < GOOD) + 5)
    assert all(levels(dataset, 3, workers) == expected for workers in (0, 1, 3))
    assert levels(ImageFolder(str(pictures), pipeline=PIPELINE), 3, 2) == expected
    assert len({tuple(levels(dataset, epoch, 0)) for epoch in range(8)}) > 4
    assert dataset.marks.of_samples.tolist() == [READ] * GOOD + [BROKEN] * len(BAD)


@pytest.mark.parametrize('row', BAD)
def test_without_permission_a_broken_picture_is_an_error(pictures, row):
    kind = FileNotFoundError if BAD[row] is None else PictureError
    steps = [dict(PIPELINE[0], ignore_broken=False)]
    for dataset in (
        ImageFolder(str(pictures), pipeline=steps),
        ImageFolder(str(pictures), pipeline=PIPELINE, test_mode=True),
    ):
        with pytest.raises(kind, match=rf'{row}\.png'):
            dataset[row]


def test_a_folder_of_broken_pictures_alone_is_an_error(tmp_path):
    (tmp_path / 'a.png').touch()
    with pytest.raises(PictureError, match=r"all are broken. The last: '.*a\.png' is empty"):
        ImageFolder(str(tmp_path), pipeline=PIPELINE, max_refetch=5)[0]


def test_the_share_is_limited(tmp_path):
    check_share(1, 100, 0.01, tmp_path / 'list.txt', 'allow more')
    with pytest.raises(ValueError, match=r'200 of 210 pictures are broken, more than 1 %; .*list\.txt.* or allow more'):
        check_share(200, 210, 0.01, tmp_path / 'list.txt', 'allow more')


def test_the_list_has_paths_and_reasons(tmp_path):
    list_broken({'b.jpg': 'is empty', 'a.jpg': 'is a bomb'}, tmp_path / 'list.txt')
    assert (tmp_path / 'list.txt').read_text() == 'a.jpg\tis a bomb\nb.jpg\tis empty\n'


WORKERS = """
import sys
from tests.datasets.test_broken import PIPELINE, ImageFolder, levels

if __name__ == '__main__':
    dataset = ImageFolder(sys.argv[1], pipeline=PIPELINE)
    print(levels(dataset, 2, 2, sys.argv[2]), dataset.marks.of_samples.tolist())
"""


@pytest.mark.slow
@pytest.mark.parametrize('method', ['spawn', 'forkserver'])
def test_workers_that_are_not_forked(pictures, tmp_path_factory, method):
    """A worker has the dataset, the epoch and the marks, however it was started."""
    dataset = ImageFolder(str(pictures), pipeline=PIPELINE)
    script = tmp_path_factory.mktemp('script') / 'workers.py'
    script.write_text(WORKERS)
    # Without it, a package of the environment that is named `tests` would be imported.
    env = os.environ | {'PYTHONPATH': str(Path(__file__).parents[2])}
    command = [sys.executable, script, pictures, method]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == f'{levels(dataset, 2, 0)} {dataset.marks.of_samples.tolist()}'
