"""Damaged label files: the message has the file and the line."""

import pytest

from looc_mm.datasets.folder import ImageFolder
from looc_mm.datasets.label_file import check_label_file


@pytest.mark.parametrize(
    ('lines', 'message'),
    [
        ('a.jpg 0\n\nb.jpg 1\n', 'line 2 is blank'),
        ('a.jpg 0\nb.jpg rose\n', "line 2 has the label 'rose'"),
        ('a.jpg -1\n', "line 1 has the label '-1'"),
        ('a.jpg 0\nb.jpg 1.5\n', "line 2 has the label '1.5'"),
        ('a.jpg\n', 'line 1 has no label'),
    ],
)
def test_a_damaged_line(tmp_path, lines, message):
    path = tmp_path / 'labels.txt'
    path.write_text(lines)
    with pytest.raises(ValueError, match=message) as caught:
        ImageFolder(str(tmp_path), with_label=True, ann_file=str(path))
    assert str(path) in str(caught.value)


def test_a_right_file(tmp_path):
    path = tmp_path / 'labels.txt'
    path.write_text('a.jpg 0\nmy pictures/b 1.jpg 12\n')
    check_label_file(path)
    data = ImageFolder(str(tmp_path), with_label=True, ann_file=str(path))
    assert [data.get_data_info(i)['gt_label'] for i in range(2)] == [0, 12]
    assert data.get_data_info(1)['img_path'].endswith('my pictures/b 1.jpg')
