"""tools/check_dataset.py on whole and on damaged data."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from looc_mm.cli import main
from looc_mm.datasets import CUB, IN100, Flowers102, ImageNetC, INat2019, decoding
from looc_mm.datasets.in100 import WNIDS
from looc_mm.datasets.objectnet import FOLDERS
from tests.datasets.test_decoding import png
from tests.datasets.test_inat2019 import TRAIN, write

TOOL = Path(__file__).parents[2] / 'tools/check_dataset.py'


@pytest.fixture
def check(capsys):
    """Call the command; returns its exit code and all that it printed."""

    def run(*arguments: str | Path) -> tuple[int, str]:
        capsys.readouterr()
        code = main(['check-dataset', *map(str, arguments)])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


@pytest.fixture
def labelled(tmp_path) -> Path:
    """Two classes, twenty pictures of noise in train and two in val."""
    rng = np.random.default_rng(0)
    for part, number in (('train', 10), ('val', 1)):
        for name in ('cat', 'dog'):
            (tmp_path / part / name).mkdir(parents=True)
            for row in range(number):
                picture = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
                cv2.imwrite(str(tmp_path / part / name / f'{row}.jpg'), picture)
    return tmp_path


@pytest.fixture
def published(monkeypatch):
    """Call it with a class, a number of classes, and numbers of images by part: as if these had been published."""

    def change(kind: type, classes: int, **images: int) -> None:
        parts = {name: replace(kind.published[name], images=count, classes=classes) for name, count in images.items()}
        monkeypatch.setattr(kind, 'published', parts)

    return change


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((9, 9, 3), np.uint8))


def test_a_whole_folder_as_users_check_it(labelled):
    done = subprocess.run([sys.executable, TOOL, 'folder', labelled, '--all'], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ['train', '20', 'images', '2', 'classes'] in lines and ['val', '2', 'images', '2', 'classes'] in lines
    assert 'is whole; decoded were all images a part' in done.stdout


def test_unlabelled_pictures_are_counted(check, labelled):
    code, printed = check('folder', labelled / 'train')
    assert code == 0 and 'all       20 images        0 classes' in printed


def test_broken_images_are_named(check, labelled):
    content = (labelled / 'train/cat/3.jpg').read_bytes()
    (labelled / 'train/cat/3.jpg').write_bytes(content[: len(content) // 2])
    (labelled / 'train/dog/4.jpg').write_text('<html>')
    (labelled / 'val/dog/0.jpg').write_bytes(b'')
    code, printed = check('folder', labelled, '--all')
    assert code == 1 and printed.count('Wrong: ') == 4
    assert 'cat/3.jpg: cannot be decoded' in printed and 'it was cut short' in printed
    assert 'train/dog/4.jpg: is not a picture' in printed and 'val/dog/0.jpg: is empty' in printed


def test_many_broken_images_are_counted(check, labelled):
    for path in (labelled / 'train').rglob('*.jpg'):
        path.write_text('<html>')
    code, printed = check('folder', labelled, '--all')
    assert code == 1 and printed.count(': is not a picture') == 10
    assert 'train: 20 broken images in all, of 20 decoded: 20 not a picture' in printed


def test_the_sample_is_seeded_and_of_the_size_asked_for(check, labelled, monkeypatch):
    seen: list[str] = []
    monkeypatch.setattr(decoding, 'look_at', lambda path: seen.append(path) or ('', '', False))

    def sample(seed: int) -> set[str]:
        seen.clear()
        assert check('folder', labelled / 'train', '--sample', 5, '--seed', seed)[0] == 0
        assert len(seen) == 5
        return set(seen)

    assert sample(0) == sample(0) != sample(1)


def test_classes_must_agree_between_train_and_val(check, labelled):
    shutil.move(labelled / 'val/dog', labelled / 'val/wolf')
    (labelled / 'train/.cache').mkdir()  # a hidden folder is no class
    code, printed = check('folder', labelled)
    assert (
        code == 1
        and '.cache' not in printed
        and "no classifier can know: 'wolf'. The val pictures have none of 'dog'" in printed
    )


def test_whole_and_incomplete_inat2019(check, tmp_path, published):
    write(tmp_path, 'train', TRAIN)
    write(tmp_path, 'val', dict.fromkeys(TRAIN, 3))
    code, printed = check('inat2019', tmp_path)
    assert code == 1 and 'train: 49 images, published are 265,213' in printed
    assert 'val: 3 classes, published are 1,010' in printed
    published(INat2019, 3, train=49, val=9)
    code, printed = check('inat2019', tmp_path)
    assert code == 0 and '49 images of 49        3 classes of 3' in printed
    assert not list(tmp_path.glob('looc_split*')), 'it only looks'
    (tmp_path / 'val2019.json').unlink()
    code, printed = check('inat2019', tmp_path)
    assert code == 1 and 'train  cannot be read' in printed and 'lacks val2019.json' in printed


def test_cub(check, tmp_path, published):
    published(CUB, 200, train=200, test=200)
    columns: dict[str, list] = {'images': [], 'image_class_labels': [], 'train_test_split': []}
    for row in range(400):
        columns['images'].append(f'{row % 200 + 1:03}.Bird/{row}.jpg')
        columns['image_class_labels'].append(row % 200 + 1)
        columns['train_test_split'].append(row // 200)
        picture(tmp_path / 'images' / columns['images'][-1])
    for name, values in columns.items():
        (tmp_path / f'{name}.txt').write_text(''.join(f'{n} {value}\n' for n, value in enumerate(values, 1)))
    code, printed = check('cub', tmp_path)
    assert code == 0 and printed.count('200 images of 200      200 classes of 200') == 2
    (tmp_path / 'images/001.Bird/0.jpg').unlink()
    code, printed = check('cub', tmp_path)
    assert code == 1 and 'test: CUB: 1 of 200 listed images are missing' in printed


def test_flowers102(check, tmp_path, published):
    published(Flowers102, 102, train=102, val=102, trainval=204, test=102)
    for number in range(1, 307):
        picture(tmp_path / f'jpg/image_{number:05}.jpg')
    savemat(tmp_path / 'imagelabels.mat', {'labels': np.tile(np.arange(1, 103), 3)[None]})
    ids = np.arange(1, 307).reshape(3, 1, 102)
    savemat(tmp_path / 'setid.mat', {'trnid': ids[0], 'valid': ids[1], 'tstid': ids[2]})
    code, printed = check('flowers102', tmp_path)
    assert code == 0 and printed.count('102 images of 102      102 classes of 102') == 3


def test_in100_objectnet_and_imagenet_c(check, tmp_path, published):
    published(IN100, 100, train=100, val=100)
    published(ImageNetC, 100, **dict.fromkeys(ImageNetC.published, 100))
    for wnid in WNIDS:
        for folder in ('in100/train', 'in100/val', 'c/fog/2', 'c/snow/1'):
            picture(tmp_path / folder / wnid / '1.JPEG')
    for name in FOLDERS:
        picture(tmp_path / 'objectnet/images' / name / '1.png')
    assert check('in100', tmp_path / 'in100')[0] == 0
    code, printed = check('objectnet', tmp_path / 'objectnet')
    assert code == 0 and 'test       13 images       13 classes of 13' in printed
    code, printed = check('imagenet-c', tmp_path / 'c')
    assert code == 1 and printed.count('cannot be read') == 73, '15 corruptions of 5 severities, but for two'
    assert 'fog 2      100 images of 100      100 classes of 100' in printed


def test_every_odd_thing_of_a_folder_is_found_in_one_pass(check, tmp_path, monkeypatch):
    root = tmp_path / 'mine'
    for name in ('a.jpg', 'b/c.jpg', 'b/unreadable/d.jpg'):
        picture(root / name)
    for name in ('phone.heic', 'b/other.HEIC', 'notes.txt'):
        (root / name).touch()
    (root / 'b/up').symlink_to(root)
    (root / 'gone.jpg').symlink_to('nowhere')
    (root / 'empty.png').touch()
    (root / 'page.jpg').write_text('<html>')
    (root / 'cut.jpg').write_bytes((root / 'a.jpg').read_bytes()[:-9])
    (root / 'bomb.png').write_bytes(png(40_000, 40_000))
    cv2.imwrite(str(root / 'deep.png'), np.zeros((4, 5), np.uint16))
    cv2.imwrite(str(root / 'clear.png'), np.zeros((4, 5, 4), np.uint8))
    scan = os.scandir

    def deny(place: str) -> object:
        if str(place).endswith('unreadable'):
            raise PermissionError(13, 'Permission denied', place)
        return scan(place)

    monkeypatch.setattr(os, 'scandir', deny)
    code, printed = check('folder', root, '--all')
    assert code == 1
    for part in (
        'passed over: 2 .heic, 1 .txt',
        f'not followed: 1 links to folders that are listed already, such as {root / "b/up"}',
        '1 of 9 decoded images are transparent: composited on white',
        f'the folder {root / "b/unreadable"} cannot be listed: Permission denied',
        f'{root / "gone.jpg"}: there is no such file',
        f'{root / "empty.png"}: is empty',
        f'{root / "page.jpg"}: is not a picture',
        f'{root / "cut.jpg"}: cannot be decoded as an image',
        f'{root / "bomb.png"}: has 40,000 x 40,000 pixels',
        f'{root / "deep.png"}: has the pixel type 16-bit',
        '6 broken images in all, of 9 decoded',
    ):
        assert part in printed, printed
