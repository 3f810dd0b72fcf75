"""Damaged label files: the message has the file and the line."""

import pytest

from looc_mm.datasets.folder import ImageFolder
from looc_mm.datasets.label_file import check_label_file


def read(path):
    data = ImageFolder(str(path.parent), with_label=True, ann_file=str(path))
    return [(data.get_data_info(i)['img_path'], data.get_data_info(i)['gt_label']) for i in range(len(data))]


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('a.jpg 0\n\nb.jpg 1\n', 'line 2 is blank'),
        ('a.jpg 0\n   \nb.jpg 1\n', 'line 2 is blank'),
        ('\na.jpg 0\n', 'line 1 is blank: '),
        ('a.jpg 0\n\n', 'line 2 is blank'),
        ('', 'line 1 is blank, as the whole file is'),
        ('\n\n', 'line 1 is blank, as the whole file is'),
        ('a.jpg 0\nb.jpg rose\n', "line 2 has the label 'rose'"),
        ('a.jpg -1\n', "line 1 has the label '-1'"),
        ('a.jpg +1\n', r"line 1 has the label '\+1'"),
        ('a.jpg 0\nb.jpg 1.5\n', "line 2 has the label '1.5'"),
        ('a.jpg 1e1\n', "line 1 has the label '1e1'"),
        ('a.jpg 0x1\n', "line 1 has the label '0x1'"),
        ('a.jpg nan\n', "line 1 has the label 'nan'"),
        ('a.jpg None\n', "line 1 has the label 'None'"),
        ('a.jpg 1,2\n', "line 1 has the label '1,2'"),
        ('a.jpg \u0663\n', "line 1 has the label '\u0663'"),
        ('a.jpg\n', 'line 1 has no label'),
        ('3\n', 'line 1 has no label'),
        (' 3\n', 'line 1 has no label'),
        ('a.jpg,3\n', 'line 1 has no label'),
        ('a.jpg\t3\n', 'line 1 has no label'),
        ('path label\na.jpg 0\n', "line 1 has the label 'label'"),
        ('0 a.jpg\n', "line 1 has the label 'a.jpg'"),
        ('a.jpg 0\na.jpg 1\n', 'line 2 lists the picture of line 1 again'),
        ('a.jpg 0\nb.jpg 0\na.jpg 0\n', 'line 3 lists the picture of line 1 again'),
        ('\ufeffa.jpg 0\n', 'begins with a byte order mark'),
        ('a.jpg 0\nh\u00fctte.jpg 1\n'.encode('latin-1'), 'is no text in UTF-8'),
        ('a.jpg 0\n'.encode('utf-16'), 'is no text in UTF-8'),
        (b'\x89PNG\r\n\x1a\n', 'is no text in UTF-8'),
    ],
)
def test_a_damaged_file(tmp_path, content, message):
    path = tmp_path / 'labels.txt'
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match='labels.txt'):
        read(tmp_path / 'labels.txt')


@pytest.mark.parametrize('end', ['\n', '\r\n'])
@pytest.mark.parametrize('last', [True, False])
def test_a_right_file(tmp_path, end, last):
    path = tmp_path / 'labels.txt'
    text = end.join(['a.jpg 0', 'my pictures/h\u00fctte 1.jpg 12', 'c.jpg 012', ' d.jpg 3 '])
    path.write_bytes((text + end * last).encode())
    check_label_file(path)
    paths, labels = zip(*read(path), strict=True)
    assert labels == (0, 12, 12, 3)
    assert [path.removeprefix(f'{tmp_path}/') for path in paths] == [
        *('a.jpg', 'my pictures/h\u00fctte 1.jpg', 'c.jpg', 'd.jpg')
    ]
