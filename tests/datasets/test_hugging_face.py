"""A saved dataset of Hugging Face has the pictures and labels that were put in."""

import io
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from looc_mm.datasets import HuggingFaceDataset, LoadCanvas, LoadImageFromFile, PackCanvas
from looc_mm.datasets.broken import replacing
from looc_mm.datasets.classes import classes_of
from looc_mm.datasets.decoding import PictureError, decode_bytes
from looc_mm.evaluation.cache import cache_key, data_hash


def png(seed: int, channels: int = 3) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (40, 50, channels), np.uint8)
    return cv2.imencode('.png', pixels)[1].tobytes()


@pytest.fixture
def hub():
    return pytest.importorskip('datasets', reason='the package datasets reads them')


@pytest.fixture
def saved(hub, tmp_path):
    """Pictures as bytes, as a path and as a decoded picture; a class, a text and a number for each."""
    path = tmp_path / 'file.png'
    path.write_bytes(png(1))
    pictures = [{'bytes': png(0), 'path': None}, {'bytes': None, 'path': str(path)}, Image.open(io.BytesIO(png(2)))]
    columns = dict(
        picture=pictures, kind=[1, 0, 1], word=['dog', 'cat', 'ape'], number=[5, 0, 7], share=[0.1, 0.2, 0.3]
    )
    features = hub.Features(
        picture=hub.Image(),
        kind=hub.ClassLabel(names=['a', 'b']),
        word=hub.Value('string'),
        number=hub.Value('int16'),
        share=hub.Value('float32'),
    )
    table = hub.Dataset.from_dict(columns, features)
    table.save_to_disk(str(tmp_path / 'single'))
    hub.DatasetDict(train=table, test=table.select([2])).save_to_disk(str(tmp_path / 'splits'))
    return tmp_path


def test_pictures_are_decoded_as_all_others(saved):
    dataset = HuggingFaceDataset(str(saved / 'single'), pipeline=[dict(type='LoadImageFromFile')])
    for row, sample in enumerate(dataset):
        assert np.array_equal(sample['img'], decode_bytes(png(row), 'a').img)
        assert sample['img_path'].endswith(f'single, row {row}') and 'img_bytes' not in sample
    canvases = HuggingFaceDataset(str(saved / 'single'), pipeline=[LoadCanvas(size=32), PackCanvas()])
    assert canvases[2]['inputs'].shape == (3, 32, 32) and canvases[2]['image_size'].tolist() == [40, 50]
    assert 'labels' not in canvases[0]


@pytest.mark.parametrize(
    ('label', 'names', 'labels'),
    [('kind', ('a', 'b'), [1, 0, 1]), ('word', ('ape', 'cat', 'dog'), [2, 1, 0]), ('number', None, [5, 0, 7])],
)
def test_labels(saved, label, names, labels):
    dataset = HuggingFaceDataset(str(saved / 'single'), label=label, pipeline=[LoadImageFromFile(), PackCanvas()])
    assert [sample['labels']['gt_label'] for sample in dataset] == labels
    classes = classes_of(dataset)
    assert (classes and classes.names) == names


def test_splits_and_subsets(saved):
    test = HuggingFaceDataset(str(saved / 'splits'), split='test', pipeline=[LoadImageFromFile()])
    assert len(test) == 1 and np.array_equal(test[0]['img'], decode_bytes(png(2), 'a').img)
    assert test[0]['img_path'].endswith('splits, test, row 0')
    some = HuggingFaceDataset(str(saved / 'splits'), split='train', indices=[2, 0], pipeline=[LoadImageFromFile()])
    assert [sample['row'] for sample in some] == [2, 0]
    for split, message in [(None, r"split=None .* one of \['train', 'test'\]"), ('val', "split='val'")]:
        with pytest.raises(ValueError, match=message):
            HuggingFaceDataset(str(saved / 'splits'), split=split)
    with pytest.raises(ValueError, match=r"split='train'.*allowed: None, for it is a single dataset"):
        HuggingFaceDataset(str(saved / 'single'), split='train')


def test_cached_features_know_the_pictures(saved, hub):
    from tests.evaluation.fake import FakeModel

    model, kwargs = FakeModel(), dict(label='kind', pipeline=[LoadImageFromFile(), PackCanvas()])
    one, again = (HuggingFaceDataset(str(saved / 'single'), **kwargs) for _ in range(2))
    assert cache_key(model, one) == cache_key(model, again) and data_hash(one) == data_hash(again)
    other = hub.load_from_disk(str(saved / 'single')).select([2, 1, 0])
    other.save_to_disk(str(saved / 'other'))
    assert cache_key(model, one) != cache_key(model, HuggingFaceDataset(str(saved / 'other'), **kwargs))


def test_what_is_wrong_is_named(saved, hub, tmp_path, monkeypatch):
    single = str(saved / 'single')
    with pytest.raises(
        ValueError, match=r"image='kind'.* columns of pictures are \['picture'\], of \['picture', 'kind'"
    ):
        HuggingFaceDataset(single, image='kind')
    for label in ('share', 'none'):
        with pytest.raises(ValueError, match=f"label='{label}', which is .*allowed is a column of class labels"):
            HuggingFaceDataset(single, label=label)
    with pytest.raises(FileNotFoundError, match='there is no such folder'):
        HuggingFaceDataset(str(tmp_path / 'none'))
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match=r'save_to_disk did not write.*load_dataset\(NAME\).save_to_disk'):
        HuggingFaceDataset(str(tmp_path / 'empty'))
    labels = hub.Dataset.from_dict(dict(x=[b'1', b'2'], y=['a', None]))
    labels.save_to_disk(str(tmp_path / 'labels'))
    with pytest.raises(ValueError, match="rows without a label in the column 'y'"):
        HuggingFaceDataset(str(tmp_path / 'labels'), label='y')


def test_broken_pictures_are_replaced_and_named(hub, tmp_path):
    table = hub.Dataset.from_dict(dict(x=[png(0), b'<html>', None, png(3)[:200]]))
    table.save_to_disk(str(tmp_path / 'data'))
    strict = HuggingFaceDataset(str(tmp_path / 'data'), pipeline=[LoadCanvas(size=32)])
    for row, problem in {1: 'is not a picture of a format', 2: 'has no picture', 3: 'cannot be decoded'}.items():
        with pytest.raises(PictureError, match=f'data, row {row}.*{problem}'):
            strict[row]
        assert problem in strict.problem(row)
    assert strict.problem(0) == ''
    replaced = HuggingFaceDataset(str(tmp_path / 'data'), pipeline=[LoadCanvas(size=32, ignore_broken=True)])
    assert replacing(replaced) == [replaced]
    assert all(np.array_equal(sample['img'], replaced[0]['img']) for sample in replaced)
    assert replaced.marks.of_samples.tolist() == [1, 2, 2, 2]


def test_other_channels(hub, tmp_path):
    table = hub.Dataset.from_dict(dict(x=[png(0, 4)]))
    table.save_to_disk(str(tmp_path / 'data'))
    dataset = HuggingFaceDataset(str(tmp_path / 'data'), pipeline=[LoadCanvas(size=32, in_channels=4), PackCanvas()])
    assert dataset[0]['inputs'].shape == (4, 32, 32)


def test_the_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'datasets', None)
    with pytest.raises(ImportError, match=r"pip install 'looc_mm\[datasets\]'"):
        HuggingFaceDataset(str(tmp_path))
