import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from looc_mm.stylization import Settings, Stylizer, stylize_tree
from looc_mm.stylization.tree import SETTINGS, output_name

SMALL = Settings('random', styles_per_image=2, size=16)


@pytest.fixture(scope='module')
def stylizer():
    return Stylizer()


@pytest.fixture
def folders(tmp_path, photographs) -> tuple[Path, Path, Path]:
    """Three pictures of two sizes, three paintings, and where to write."""
    for index, name in enumerate(['in/a.png', 'in/b/c.jpg', 'in/b/d.PNG', 'art/x.jpg', 'art/more/y.png', 'art/z.webp']):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), photographs[index % 2][20 * index : 20 * index + 60, : 90 + 30 * (index % 2)])
    return tmp_path / 'in', tmp_path / 'art', tmp_path / 'out'


def made(out: Path) -> dict[str, np.ndarray]:
    return {path.relative_to(out).as_posix(): cv2.imread(str(path)) for path in out.rglob('*-stylized-*')}


def test_names_and_geometry(folders, stylizer):
    source, art, out = folders
    assert stylize_tree(stylizer, *folders, SMALL).made == 3
    pictures = made(out)
    assert {name.split('-stylized-')[0] for name in pictures} == {'a', 'b/c', 'b/d'} and len(pictures) == 6
    assert {Path(name).suffix for name in pictures if name.startswith('b/c')} == {'.jpg'}
    assert {Path(name).suffix for name in pictures if not name.startswith('b/c')} == {'.png'}
    assert {name.split('-stylized-')[1].split('.')[0] for name in pictures} <= {'x', 'y', 'z'}
    for name, picture in pictures.items():
        height, width = cv2.imread(str(next(source.glob(name.split('-stylized-')[0] + '.*')))).shape[:2]
        assert picture.shape == (16, round(16 * width / height), 3), 'the short side; the aspect stays'
    assert not list(out.rglob('.*')), 'no temporary file is left'


def test_a_run_goes_on_where_it_stopped(folders, stylizer):
    out = folders[2]
    stylize_tree(stylizer, *folders, SMALL)
    whole = made(out)
    kept = sorted(out.rglob('a-stylized-*'))
    times = [path.stat().st_mtime_ns for path in kept]
    lost = next(out.rglob('c-stylized-*'))
    lost.unlink()
    lost.with_name(f'.{lost.name}.part').write_bytes(b'half')
    report = stylize_tree(stylizer, *folders, SMALL)
    assert (report.made, report.finished) == (1, 2)
    again = made(out)
    assert again.keys() == whole.keys()
    assert all((np.abs(again[name].astype(int) - whole[name]) <= 2).all() for name in whole)
    assert [path.stat().st_mtime_ns for path in kept] == times
    assert not list(out.rglob('.*'))


def test_broken_pictures_are_named_and_the_others_made(folders, stylizer):
    (folders[0] / 'b/broken.jpg').write_bytes(b'no picture')
    report = stylize_tree(stylizer, *folders, SMALL)
    assert report.made == 3
    assert list(report.broken) == [str(folders[0] / 'b/broken.jpg')]


def test_the_draw_is_by_seed_and_path():
    settings = Settings('random', styles_per_image=3)
    assert settings.draw('a/b.jpg', 50) == settings.draw('a/b.jpg', 50)
    assert settings.draw('a/b.jpg', 50) != settings.draw('a/c.jpg', 50)
    assert settings.draw('a/b.jpg', 50) != Settings('random', styles_per_image=3, seed=1).draw('a/b.jpg', 50)
    drawn = [settings.draw(f'{index}.jpg', 10) for index in range(2000)]
    assert all(len(set(each)) == 3 for each in drawn)
    counts = Counter(style for each in drawn for style in each)
    assert all(abs(counts[style] - 600) < 90 for style in range(10))


def test_output_names():
    assert output_name('a/b/x.y.JPEG', 'c/monet.png') == 'a/b/x.y-stylized-monet.jpg'
    assert output_name('x.PNG', 'monet.jpg') == 'x-stylized-monet.png'


def test_other_settings_in_one_folder_are_refused(folders, stylizer):
    stylize_tree(stylizer, *folders, SMALL)
    with pytest.raises(ValueError, match=r"other settings.*'weights': \('random', 'abc'\)"):
        stylize_tree(stylizer, *folders, Settings('abc', styles_per_image=2, size=16))
    (folders[1] / 'x.jpg').rename(folders[1] / 'w.jpg')
    with pytest.raises(ValueError, match='style_names'):
        stylize_tree(stylizer, *folders, SMALL)
    assert json.loads((folders[2] / SETTINGS).read_text())['weights'] == 'random'


def test_wrong_input_is_refused(folders, stylizer, tmp_path):
    source, art, out = folders
    for wrong in (dict(size=15), dict(alpha=1.1), dict(styles_per_image=0)):
        with pytest.raises(ValueError, match=r'size >= 16'):
            Settings('random', **wrong)
    with pytest.raises(ValueError, match='has 3 styles; 4 per image'):
        stylize_tree(stylizer, *folders, Settings('random'))
    with pytest.raises(ValueError, match=r'in/out is in .*in'):
        stylize_tree(stylizer, source, art, source / 'out', SMALL)
    with pytest.raises(FileNotFoundError, match='nowhere'):
        stylize_tree(stylizer, tmp_path / 'nowhere', art, out, SMALL)
    (art / 'broken.png').write_bytes(b'')
    with pytest.raises(ValueError, match=r'1 paintings are broken: .*broken\.png'):
        stylize_tree(stylizer, source, art, out, Settings('random', styles_per_image=4, size=16))
    (source / 'a.jpg').write_bytes((source / 'a.png').read_bytes())
    with pytest.raises(ValueError, match=r"in has 1 names more than once, such as 'a'"):
        stylize_tree(stylizer, *folders, SMALL)
