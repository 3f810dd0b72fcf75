"""Tars in WebDataset's layout have the pictures and labels that were put in."""

import io
import tarfile

import cv2
import numpy as np
import pytest

from looc_mm.datasets import LoadCanvas, LoadImageFromFile, PackCanvas, ShardSampler, WebDatasetTars
from looc_mm.datasets.decoding import PictureError, decode_bytes
from looc_mm.evaluation.cache import cache_key, data_hash


def png(seed: int) -> bytes:
    return cv2.imencode('.png', np.random.default_rng(seed).integers(0, 256, (40, 50, 3), np.uint8))[1].tobytes()


def write(path, *members: tuple[str, bytes], mode: str = 'w', **options) -> None:
    with tarfile.open(path, mode, **options) as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.fixture(params=[tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def root(tmp_path, request):
    """Two tars with 3 and 2 pictures; the names of the second are longer than ustar's 100 letters where they may be."""
    long = 'x' * (40 if request.param == tarfile.USTAR_FORMAT else 150)
    members = [('8.png', png(3)), ('8.cls', b'1'), ('8.txt', b'a cat'), ('9.json', b'{}')]
    members += [('10.cls', b'0'), ('10.PNG', png(4))]
    write(tmp_path / 'b.tar', *((f'{long}/{name}', content) for name, content in members), format=request.param)
    write(
        tmp_path / 'a.tar',
        *[('000.png', png(0)), ('000.seg.png', png(9)), ('000.cls', b'2\n'), ('._000.png', b'of a Mac')],
        *[('v1.0/001.png', png(1)), ('v1.0/001.cls', b'0'), ('002.cls', b'1'), ('002.png', png(2))],
        format=request.param,
    )
    (tmp_path / 'notes.txt').touch()
    return tmp_path


def test_every_picture_with_its_label_in_the_order_of_the_tars(root):
    dataset = WebDatasetTars(
        str(root), label='cls', classes=['x', 'y', 'z'], pipeline=[LoadImageFromFile(), PackCanvas()]
    )
    assert len(dataset) == 5
    for seed, sample in enumerate(dataset):
        assert np.array_equal(sample['inputs'].numpy(), decode_bytes(png(seed), '').img[..., ::-1].transpose(2, 0, 1))
    assert [sample['labels']['gt_label'] for sample in dataset] == [2, 0, 1, 1, 0]
    assert dataset.CLASSES == ('x', 'y', 'z')
    some = WebDatasetTars(str(root), indices=[4, 0], pipeline=[LoadCanvas(size=32)])
    assert [sample['key'].rpartition('/')[2] for sample in some] == ['10.PNG', '000.png']
    assert some[1]['ori_shape'] == (40, 50) and some[1]['img_path'] == f'{root / "a.tar"}, 000.png'
    assert 'gt_label' not in some[0]


def test_a_pattern_chooses_tars_and_an_ending_pictures(root):
    assert len(WebDatasetTars(str(root / 'b*.tar'))) == 2
    masks = WebDatasetTars(str(root / 'a.tar'), image='seg.png', pipeline=[LoadImageFromFile()])
    assert len(masks) == 1 and np.array_equal(masks[0]['img'], decode_bytes(png(9), '').img)
    (root / 'odd[1]').mkdir()
    write(root / 'odd[1]/c.tar', ('1.png', png(5)))
    assert len(WebDatasetTars(str(root / 'odd[1]'))) == 1


def test_samplers_and_workers_read_it(root):
    from torch.utils.data import DataLoader

    dataset = WebDatasetTars(str(root), label='cls', read_ahead=True, pipeline=[LoadCanvas(size=32), PackCanvas()])
    loader = DataLoader(dataset, 2, sampler=ShardSampler(dataset, block=2, seed=0), num_workers=2)
    labels = [int(label) for batch in loader for label in batch['labels']['gt_label']]
    assert sorted(labels) == [0, 0, 1, 1, 2]


def test_cached_features_know_the_pictures(root):
    from tests.evaluation.fake import FakeModel

    model, steps = FakeModel(), [LoadCanvas(size=32), PackCanvas()]
    keys = [cache_key(model, WebDatasetTars(str(root), pipeline=steps)) for _ in range(2)]
    before = data_hash(WebDatasetTars(str(root), pipeline=steps))
    (root / 'moved').mkdir()
    for name in ('a.tar', 'b.tar'):
        (root / name).rename(root / 'moved' / name)
    assert data_hash(WebDatasetTars(str(root / 'moved'), pipeline=steps)) == before
    write(root / 'moved/b.tar', ('8.png', png(8)))
    assert data_hash(WebDatasetTars(str(root / 'moved'), pipeline=steps)) != before
    assert keys[0] == keys[1] != cache_key(model, WebDatasetTars(str(root / 'moved'), pipeline=steps))


def test_what_is_wrong_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='no .tar is there'):
        WebDatasetTars(str(tmp_path))
    path = tmp_path / 'a.tar'
    write(path, ('a.txt', b'x'), ('b.jpg.txt', b'y'))
    with pytest.raises(FileNotFoundError, match='1 tars of .* hold no picture'):
        WebDatasetTars(str(path))
    write(path, ('a.png', png(0)), ('a.jpg', png(0)))
    with pytest.raises(
        ValueError, match=r"a.tar has two pictures of one sample, a.png and a.jpg. Choose by image='jpg'"
    ):
        WebDatasetTars(str(path))
    assert len(WebDatasetTars(str(path), image='jpg')) == 1
    write(path, ('a.png', png(0)), ('b.cls', b'1'))
    with pytest.raises(ValueError, match='a.png has no label: no member of this sample ends with .cls'):
        WebDatasetTars(str(path), label='cls')
    write(path, ('a.png', png(0)), ('a.cls', b'cat'))
    with pytest.raises(ValueError, match="a.cls holds b'cat'; allowed is the number of a class"):
        WebDatasetTars(str(path), label='cls')
    write(path, ('a.png', png(0)), mode='w:gz')
    with pytest.raises(ValueError, match=r'cannot be read as a plain tar.*gunzip'):
        WebDatasetTars(str(path))
    write(path, ('a.png', png(0)), ('b.png', png(1)))
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(ValueError, match=r'\(9,000 bytes\) cannot be read as a plain tar'):
        WebDatasetTars(str(path))


def test_broken_pictures_are_named_and_replaced(tmp_path):
    write(tmp_path / 'a.tar', ('0.png', png(0)), ('1.png', b'<html>'))
    strict = WebDatasetTars(str(tmp_path), pipeline=[LoadCanvas(size=32)])
    with pytest.raises(PictureError, match=r'a.tar, 1.png. is not a picture'):
        strict[1]
    replaced = WebDatasetTars(str(tmp_path), pipeline=[LoadCanvas(size=32, ignore_broken=True)])
    assert np.array_equal(replaced[1]['img'], replaced[0]['img'])
