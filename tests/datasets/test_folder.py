from pathlib import Path

import pytest

from looc_mm.datasets import ImageFolder
from looc_mm.registry import DATASETS


def touch(root: Path, *names: str) -> str:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return str(root)


def paths(dataset: ImageFolder, root: Path) -> list[str]:
    return [Path(dataset.get_data_info(i)['img_path']).relative_to(root).as_posix() for i in range(len(dataset))]


def test_unlabelled_images_at_any_depth(tmp_path):
    touch(tmp_path, 'b/c/d/1.JPEG', 'a.webp', 'b/2.tiff', 'b/2.tif', 'b/notes.txt', 'z.PNG')
    dataset = DATASETS.build({'type': 'ImageFolder', 'data_root': str(tmp_path)})
    assert paths(dataset, tmp_path) == ['a.webp', 'b/2.tif', 'b/2.tiff', 'b/c/d/1.JPEG', 'z.PNG']
    assert 'gt_label' not in dataset.get_data_info(0)


@pytest.mark.parametrize('with_label', [False, True])
def test_hidden_files_and_folders_are_passed_over(tmp_path, with_label):
    touch(tmp_path, 'cat/1.jpg', 'cat/._1.jpg', 'cat/.cache/2.jpg', '.ipynb_checkpoints/3.jpg')
    dataset = ImageFolder(str(tmp_path), with_label=with_label)
    assert paths(dataset, tmp_path) == ['cat/1.jpg']


def test_links_are_followed(tmp_path):
    touch(tmp_path / 'elsewhere', 'cat/deep/1.jpg')
    touch(tmp_path / 'data', 'cat/2.jpg')
    (tmp_path / 'data/dog').symlink_to(tmp_path / 'elsewhere/cat')
    (tmp_path / 'data/cat/more').symlink_to(tmp_path / 'elsewhere/cat/deep')
    dataset = ImageFolder(str(tmp_path / 'data'), with_label=True)
    assert paths(dataset, tmp_path / 'data') == ['cat/2.jpg', 'cat/more/1.jpg', 'dog/deep/1.jpg']


def test_classes_are_the_sorted_folders(tmp_path):
    touch(tmp_path, 'dog/deep/1.jpg', 'cat/2.jpg', 'cat/1.jpg', 'unclassified.jpg')
    dataset = ImageFolder(str(tmp_path), with_label=True)
    assert paths(dataset, tmp_path) == ['cat/1.jpg', 'cat/2.jpg', 'dog/deep/1.jpg']
    assert dataset.get_gt_labels().tolist() == [0, 0, 1]
    assert dataset.metainfo['classes'] == ('cat', 'dog')


def test_classes_can_be_named(tmp_path):
    touch(tmp_path, 'n01/1.jpg', 'n02/1.jpg')
    assert ImageFolder(str(tmp_path), with_label=True, classes=['cat', 'dog']).metainfo['classes'] == ('cat', 'dog')
    with pytest.raises(ValueError, match='2 sub-folders, but 1 classes were named'):
        ImageFolder(str(tmp_path), with_label=True, classes=['cat'])


def test_prefix_indices_and_annotation_file_work_as_in_the_parent(tmp_path):
    touch(tmp_path, 'train/1.jpg', 'train/2.jpg', 'val/3.jpg')
    (tmp_path / 'list.txt').write_text('val/3.jpg 7\n')
    assert paths(ImageFolder(str(tmp_path), data_prefix='train', indices=1), tmp_path) == ['train/1.jpg']
    listed = ImageFolder(str(tmp_path), ann_file='list.txt', with_label=True)
    assert paths(listed, tmp_path) == ['val/3.jpg'] and listed.get_gt_labels().tolist() == [7]


def test_missing_folder_says_where_it_looked_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as error:
        ImageFolder('data/photos')
    assert "'data/photos" in str(error.value)
    assert str(tmp_path / 'data/photos') in str(error.value)
    assert '--cfg-options train_dataloader.dataset.data_root=' in str(error.value)


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    touch(tmp_path / 'photos', '1.jpg')
    assert len(ImageFolder('~/photos')) == 1


def test_folder_without_images_lists_the_extensions(tmp_path):
    touch(tmp_path, 'notes.txt', '._1.jpg')
    with pytest.raises(FileNotFoundError, match=rf'{tmp_path}.*no images.*\.jpeg.*\.webp'):
        ImageFolder(str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r'end with \.gif\.'):
        ImageFolder(str(tmp_path), extensions=['.gif'])


def test_labels_need_sub_folders(tmp_path):
    touch(tmp_path, '1.jpg')
    with pytest.raises(ValueError, match='with_label=True takes sub-folders as classes, and it has none'):
        ImageFolder(str(tmp_path), with_label=True)
