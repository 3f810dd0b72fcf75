from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate
from PIL import Image
from torch.utils.data import DataLoader

from looc_mm.datasets import ImageFolder, LoadCanvas, PackCanvas
from looc_mm.datasets.transforms import ResizeShortEdge, resize, to_square
from looc_mm.registry import TRANSFORMS

BLUE, GREEN, RED = (255, 0, 0), (0, 255, 0), (0, 0, 255)  # as OpenCV has them


def photograph(path: Path, height: int = 30, width: int = 50, seed: int = 0) -> str:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), cv2.resize(coarse, (width, height)))
    return str(path)


def test_canvas_is_the_whole_image_squashed():
    img = np.zeros((20, 60, 3), np.uint8)
    img[:10, :30], img[10:, :30], img[:10, 30:] = BLUE, GREEN, RED
    results = LoadCanvas(size=40)({'img': img, 'gt_label': 3})
    assert results['ori_shape'] == (20, 60)
    assert results['gt_label'] == 3
    assert results['img'].shape == (40, 40, 3) and results['img'].dtype == np.uint8
    corners = [results['img'][y, x].tolist() for y, x in [(0, 0), (-1, 0), (0, -1), (-1, -1)]]
    assert corners == [list(BLUE), list(GREEN), list(RED), [0, 0, 0]]
    assert (results['img'][:18, :18] == BLUE).all()


def test_file_and_array_give_the_same_canvas(tmp_path):
    path = photograph(tmp_path / 'a.png')
    from_file = LoadCanvas(size=24)({'img_path': path})
    from_array = LoadCanvas(size=24)({'img': cv2.imread(path)})
    np.testing.assert_array_equal(from_file['img'], from_array['img'])
    assert from_file['ori_shape'] == from_array['ori_shape'] == (30, 50)


def test_gray_file_has_three_channels(tmp_path):
    cv2.imwrite(str(tmp_path / 'gray.png'), np.full((8, 8), 77, np.uint8))
    img = LoadCanvas(size=8)({'img_path': str(tmp_path / 'gray.png')})['img']
    assert img.shape == (8, 8, 3) and (img == 77).all()


@pytest.mark.parametrize('content', [b'', b'<html>404</html>'])
def test_broken_file_is_named_with_the_remedy(tmp_path, content):
    path = tmp_path / 'broken.jpg'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r'broken\.jpg.*to another folder.*ignore_broken=True'):
        LoadCanvas()({'img_path': str(path)})
    with pytest.raises(ValueError, match=r'broken\.jpg'):
        LoadCanvas(ignore_broken=True)({'img_path': str(path)})  # only the dataset can replace it


def test_load_image_from_file_is_ours_by_its_name(tmp_path):
    step = TRANSFORMS.build(dict(type='LoadImageFromFile'))
    results = step({'img_path': photograph(tmp_path / 'a.png')})
    assert results['img'].shape == (30, 50, 3) and results['img_shape'] == results['ori_shape'] == (30, 50)
    assert type(step).__module__ == 'looc_mm.datasets.transforms'


def test_canvas_size_is_checked():
    with pytest.raises(ValueError, match='size=0'):
        LoadCanvas(size=0)


def test_pack_turns_bgr_into_contiguous_rgb():
    img = np.zeros((4, 6, 3), np.uint8)
    img[0, 1] = 10, 20, 30
    packed = PackCanvas()({'img': img, 'ori_shape': (40, 60)})
    assert packed['inputs'].shape == (3, 4, 6) and packed['inputs'].dtype == torch.uint8
    assert packed['inputs'].is_contiguous()
    assert packed['inputs'][:, 0, 1].tolist() == [30, 20, 10]
    assert packed['inputs'].sum() == 60
    assert packed['image_size'].tolist() == [40, 60] and packed['image_size'].dtype == torch.int64
    assert 'labels' not in packed


def test_pack_gives_candidates_an_entry_of_their_own():
    images = [np.full((4, 6, 3), (30 * index, 30 * index + 10, 30 * index + 20), np.uint8) for index in range(3)]
    packed = PackCanvas()({'img': images[0], 'candidates': images[1:], 'ori_shape': (40, 60)})
    assert packed['inputs'].shape == (3, 4, 6) and packed['candidates'].shape == (2, 3, 4, 6)
    assert packed['inputs'].dtype == packed['candidates'].dtype == torch.uint8
    assert packed['inputs'].is_contiguous() and packed['candidates'].is_contiguous()
    assert packed['inputs'][:, 0, 0].tolist() == [20, 10, 0]
    assert packed['candidates'][:, :, 0, 0].tolist() == [[50, 40, 30], [80, 70, 60]]
    assert 'candidates' not in PackCanvas()({'img': images[0], 'ori_shape': (40, 60)})


def test_pack_takes_the_labels_that_are_there():
    pack = TRANSFORMS.build({'type': 'PackCanvas', 'label_keys': ['shape', 'color']})
    sample = {'img': np.zeros((2, 2, 3), np.uint8), 'ori_shape': (2, 2), 'color': np.int64(5), 'texture': 1}
    assert pack(sample)['labels'] == {'color': 5}
    assert type(pack(sample)['labels']['color']) is int


def test_batch_of_images_of_several_sizes_skips_the_broken_one(tmp_path):
    sizes = [(30, 50), (50, 30), (24, 24)]
    for i, (height, width) in enumerate(sizes):
        photograph(tmp_path / f'{i}.png', height, width, seed=i)
    (tmp_path / '3.png').write_bytes(b'broken')
    dataset = ImageFolder(
        str(tmp_path), pipeline=[{'type': 'LoadCanvas', 'size': 24, 'ignore_broken': True}, {'type': 'PackCanvas'}]
    )
    for workers in (0, 2):
        (batch,) = DataLoader(dataset, batch_size=4, num_workers=workers, collate_fn=default_collate)
        assert batch.keys() == {'inputs', 'image_size'}
        assert batch['inputs'].shape == (4, 3, 24, 24)
        assert batch['image_size'][:3].tolist() == [list(size) for size in sizes]
        good = batch['inputs'][:3]
        assert (good == batch['inputs'][3]).flatten(1).all(1).any(), 'the last one is one of the others again'


def test_broken_file_stops_a_worker_by_default(tmp_path):
    (tmp_path / 'broken.png').write_bytes(b'broken')
    dataset = ImageFolder(str(tmp_path), pipeline=[{'type': 'LoadCanvas'}, {'type': 'PackCanvas'}])
    with pytest.raises(ValueError, match='broken.png'):
        next(iter(DataLoader(dataset, num_workers=1, collate_fn=default_collate)))


def test_large_pictures_are_averaged_rather_than_sampled():
    """Noise of single pixels fades with the area; sampled, it would stay."""
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    assert LoadCanvas(size=100)({'img': noise})['img'].std() < 10
    assert LoadCanvas(size=1000)({'img': noise})['img'].std() > 30


@pytest.mark.parametrize('size', [(40, 30), (200, 213), (427, 320), (500, 700)])
def test_resize_is_pillows_antialiased_bilinear(photographs, size):
    """Up and down, by whole factors and others: at most one grey level from Pillow."""
    height, width = size
    wanted = np.asarray(Image.fromarray(photographs[0]).resize((width, height), Image.Resampling.BILINEAR))
    made = resize(photographs[0], height, width)
    assert made.dtype == np.uint8 and made.flags['C_CONTIGUOUS']
    assert np.abs(made.astype(int) - wanted).max() <= 1


def test_resize_does_not_alias():
    """Stripes of one pixel become gray; reading four pixels for one leaves stripes."""
    stripes = np.zeros((64, 60, 3), np.uint8)
    stripes[:, ::2] = 255
    assert np.ptp(resize(stripes, 64, 40)[:, 2:-2].astype(int)) < 70
    assert np.ptp(cv2.resize(stripes, (40, 64), interpolation=cv2.INTER_LINEAR)[:, 2:-2].astype(int)) > 120


def test_canvas_is_antialiased_unless_told_not_to(photographs):
    for antialias in (True, False):
        canvas = LoadCanvas(100, antialias=antialias)({'img': photographs[0]})['img']
        np.testing.assert_array_equal(canvas, to_square(photographs[0], 100, antialias))
    assert np.abs(canvas.astype(int) - to_square(photographs[0], 100)).max() > 20


@pytest.mark.parametrize('shape', [(100, 60), (60, 100), (55, 55)])
def test_resize_short_edge(shape):
    results = ResizeShortEdge(30)({'img': np.zeros((*shape, 3), np.uint8)})
    height, width = shape
    assert results['img'].shape[:2] == results['img_shape'] == (30 * height // min(shape), 30 * width // min(shape))
    with pytest.raises(ValueError, match='scale=0'):
        ResizeShortEdge(0)
