import os

import cv2
import numpy as np
import pytest
from mmengine.dataset import default_collate
from torch.utils.data import DataLoader

from looc_mm.datasets import ImageFolder, LoadCanvas, LoadStylized
from looc_mm.datasets.stylized import RANDOM_WEIGHTS
from looc_mm.registry import TRANSFORMS


def plain(path, gray, size=(30, 50)):
    """An image of one gray, by which it is known again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((*size, 3), gray, np.uint8))
    return str(path)


def grays(results):
    return [int(round(img.mean())) for img in results['candidates']]


def load(image, source, stylized, styles, size=24):
    return LoadStylized(str(source), stylized, styles)(LoadCanvas(size)({'img_path': image}))


def test_many_styles_in_one_folder(tmp_path):
    image = plain(tmp_path / 'in/a/x.JPEG', 10)
    for style, gray in (('monet', 60), ('klee', 50), ('seurat', 70)):
        plain(tmp_path / f'out/a/x-stylized-{style}.jpg', gray)
    plain(tmp_path / 'out/a/x2-stylized-klee.jpg', 90)  # of another image, with the same beginning
    plain(tmp_path / 'out/a/xx.png', 91)
    plain(tmp_path / 'out/x-stylized-klee.jpg', 92)
    (tmp_path / 'out/a/x-stylized-notes.txt').write_text('no image')
    results = load(image, tmp_path / 'in', str(tmp_path / 'out'), 2)
    assert grays(results) == [50, 60], 'the first two by name'
    assert all(img.shape == (24, 24, 3) and img.dtype == np.uint8 for img in results['candidates'])
    assert grays(load(image, tmp_path / 'in', str(tmp_path / 'out'), 3)) == [50, 60, 70]


def test_one_style_in_each_of_several_folders(tmp_path):
    image = plain(tmp_path / 'in/n01/x_1.JPEG', 10)
    plain(tmp_path / 'B/n01/x_1.png', 50)
    plain(tmp_path / 'A/n01/x_1.JPEG', 60)
    plain(tmp_path / 'A/n01/x_10.JPEG', 61)
    plain(tmp_path / 'C/n01/x_1-stylized-klee.png', 70)  # the other layout beside them
    folders = [str(tmp_path / name) for name in 'BAC']
    assert grays(load(image, tmp_path / 'in', folders, 3)) == [50, 60, 70], 'in the order of the folders'


def test_candidates_are_resized_as_the_canvas_is(tmp_path, photographs):
    for path in ('in/x.png', 'out/x.png'):
        (tmp_path / path).parent.mkdir()
        cv2.imwrite(str(tmp_path / path), photographs[0])
    for size in (24, 400):
        results = load(str(tmp_path / 'in/x.png'), tmp_path / 'in', str(tmp_path / 'out'), 1, size)
        np.testing.assert_array_equal(results['candidates'][0], results['img'])


def test_relative_paths_and_links(tmp_path, monkeypatch):
    plain(tmp_path / 'in/a/x.png', 10)
    plain(tmp_path / 'elsewhere/x.png', 50)
    (tmp_path / 'out').mkdir()
    os.symlink(tmp_path / 'elsewhere', tmp_path / 'out/a')
    monkeypatch.chdir(tmp_path)
    assert grays(load(str(tmp_path / 'in/a/x.png'), 'in', 'out', 1)) == [50]
    assert grays(load('in/a/x.png', tmp_path / 'in', str(tmp_path / 'out'), 1)) == [50]


def test_a_folder_is_listed_once(tmp_path, monkeypatch):
    for name in ('x', 'y'):
        plain(tmp_path / f'in/{name}.png', 10)
        plain(tmp_path / f'out/{name}.png', 50)
    step, listed, scandir = LoadStylized(str(tmp_path / 'in'), str(tmp_path / 'out'), 1), [], os.scandir
    monkeypatch.setattr(os, 'scandir', lambda folder: listed.append(folder) or scandir(folder))
    for name in ('x', 'y', 'x'):
        step.find(str(tmp_path / f'in/{name}.png'))
    assert listed == [str(tmp_path / 'out')]


def test_what_is_missing_is_named_with_the_remedy(tmp_path):
    image = plain(tmp_path / 'in/a/x.png', 10)
    for folder in ('nowhere', 'out'):
        with pytest.raises(ValueError, match=r'in/a/x\.png.*has 0 stylised.*styles=4 are needed.*tools/stylize\.py'):
            load(image, tmp_path / 'in', str(tmp_path / folder), 4)
        plain(tmp_path / 'out/b/x.png', 50)
    plain(tmp_path / 'out/a/x-stylized-klee.png', 50)
    with pytest.raises(ValueError, match=r'has 1 stylised.*x-stylized-klee\.png.*or set styles=1'):
        load(image, tmp_path / 'in', str(tmp_path / 'out'), 4)
    (tmp_path / 'out/a/x-stylized-klee.png').write_bytes(b'')
    with pytest.raises(ValueError, match=r'x-stylized-klee\.png.*is empty.*Move the file away and run tools/stylize'):
        load(image, tmp_path / 'in', str(tmp_path / 'out'), 1)
    with pytest.raises(ValueError, match=r'in/a/x\.png.*not under source='):
        load(image, tmp_path / 'in/b', str(tmp_path / 'out'), 1)


def test_wrong_settings_are_refused(tmp_path):
    with pytest.raises(ValueError, match='styles=0'):
        LoadStylized('in', 'out', 0)
    with pytest.raises(ValueError, match='as the source and as stylised'):
        LoadStylized('in', ['out', './in'])


def test_pictures_of_random_weights_are_told(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr('looc_mm.datasets.stylized.print_log', lambda message, **kwargs: told.append(message))
    LoadStylized('in', str(tmp_path))
    assert not told
    (tmp_path / RANDOM_WEIGHTS).write_text('no stylisations')
    LoadStylized('in', str(tmp_path))
    assert len(told) == 1 and str(tmp_path) in told[0] and 'random weights' in told[0]


@pytest.mark.parametrize('workers', [0, 2])
def test_batches_in_a_pipeline(tmp_path, workers):
    for index in range(4):
        plain(tmp_path / f'in/{index}.png', index, (20 + index, 30))
        for style in range(3):
            plain(tmp_path / f'out/{index}-stylized-{style}.png', 10 * (1 + style) + index)
    steps = [
        dict(type='LoadCanvas', size=8),
        dict(type='LoadStylized', source=str(tmp_path / 'in'), stylized=str(tmp_path / 'out'), styles=3),
        dict(type='PackCanvas'),
    ]
    dataset = ImageFolder(str(tmp_path / 'in'), pipeline=[TRANSFORMS.build(step) for step in steps])
    (batch,) = DataLoader(dataset, batch_size=4, num_workers=workers, collate_fn=default_collate)
    assert batch['inputs'].shape == (4, 3, 8, 8) and batch['candidates'].shape == (4, 3, 3, 8, 8)
    assert batch['inputs'][:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert batch['candidates'][:, :, 0, 0, 0].tolist() == [[10 + i, 20 + i, 30 + i] for i in range(4)]
