import os
from pathlib import Path

import pytest

from looc_mm.datasets import ImageFolder, folder
from looc_mm.datasets.decoding import EXTENSIONS
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
    with pytest.raises(FileNotFoundError, match=r'end with \.svg\.'):
        ImageFolder(str(tmp_path), extensions=['.svg'])


def test_labels_need_sub_folders(tmp_path):
    touch(tmp_path, '1.jpg')
    with pytest.raises(ValueError, match='with_label=True takes sub-folders as classes, and it has none'):
        ImageFolder(str(tmp_path), with_label=True)


def test_every_ending_that_is_decoded_is_listed(tmp_path):
    touch(tmp_path, *(f'1{ending.upper()}' for ending in EXTENSIONS))
    assert {'.jfif', '.jpe', '.avif', '.gif', '.jp2'} < {*EXTENSIONS}
    assert len(ImageFolder(str(tmp_path))) == len(EXTENSIONS)


@pytest.fixture
def logged(monkeypatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(folder, 'print_log', lambda text, **_: lines.append(text))
    return lines


@pytest.mark.parametrize('with_label', [False, True])
def test_other_files_are_counted_by_ending_in_one_line(tmp_path, logged, with_label):
    touch(tmp_path, 'cat/1.jpg', 'cat/2.heic', 'cat/deep/3.HEIC', 'dog/4.jpg', 'dog/5.heic', 'dog/README')
    ImageFolder(str(tmp_path), with_label=with_label)
    assert logged == [f'{tmp_path}: passed over: 3 .heic, 1 without ending']


def test_images_outside_of_classes_are_counted(tmp_path, logged):
    touch(tmp_path, 'cat/1.jpg', 'loose.jpg', 'notes.txt')
    assert paths(ImageFolder(str(tmp_path), with_label=True), tmp_path) == ['cat/1.jpg']
    assert logged == [f'{tmp_path}: left out: 1 images that are in no class folder']


def test_links_to_parents_list_a_picture_once(tmp_path):
    touch(tmp_path, 'b/1.jpg', 'b/c/2.jpg')
    for name in ('b/up', 'b/c/top', 'a_link', 'b/c/self'):
        (tmp_path / name).symlink_to(tmp_path / 'b/c' if name.endswith('self') else tmp_path)
    assert paths(ImageFolder(str(tmp_path)), tmp_path) == ['b/1.jpg', 'b/c/2.jpg']
    listing = folder.Listing()
    listing.add(str(tmp_path))
    assert len(listing.repeated) == 4 and list(listing.notes())[0].startswith('not followed: 4 links')


def test_a_link_out_of_a_class_lists_no_other_class(tmp_path):
    touch(tmp_path / 'data', 'cat/1.jpg', 'dog/2.jpg')
    (tmp_path / 'data/cat/up').symlink_to(tmp_path / 'data')
    (tmp_path / 'data/cat/sideways').symlink_to(tmp_path / 'data/dog')
    dataset = ImageFolder(str(tmp_path / 'data'), with_label=True)
    assert paths(dataset, tmp_path / 'data') == ['cat/1.jpg', 'dog/2.jpg']
    assert dataset.get_gt_labels().tolist() == [0, 1]


def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path, monkeypatch):
    touch(tmp_path, 'a/1.jpg', 'b/2.jpg')
    scan = os.scandir

    def deny(place):
        if os.path.basename(place) == 'b':
            raise PermissionError(13, 'Permission denied', place)
        return scan(place)

    monkeypatch.setattr(os, 'scandir', deny)
    for with_label in (False, True):
        with pytest.raises(PermissionError, match=rf"'{tmp_path}/b' cannot be listed \(Permission denied\)"):
            ImageFolder(str(tmp_path), with_label=with_label)
