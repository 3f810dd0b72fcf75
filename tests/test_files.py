import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from looc_mm.files import atomic_write, folder_name, read_checked, with_checksum

KILLED = """
import os, sys
from looc_mm.files import atomic_write
with atomic_write(sys.argv[1], single_writer=sys.argv[2] == 'single', sync=True) as part:
    part.write_text('half')
    os._exit(9)
"""


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize('sync', [False, True])
def test_a_file_appears_whole_and_an_error_leaves_nothing(tmp_path, sync):
    path = tmp_path / 'new/folder/a.txt'
    with atomic_write(path, sync=sync) as part:
        part.write_text('first')
        assert not path.exists()
    with pytest.raises(OSError, match='full'), atomic_write(path, sync=sync) as part:
        part.write_text('seco')
        raise OSError('the disk is full')
    assert path.read_text() == 'first' and names(path.parent) == ['a.txt']


@pytest.mark.parametrize('writers', ['single', 'several'])
def test_a_killed_process_leaves_the_file_as_it_was(tmp_path, writers):
    path = tmp_path / 'a.txt'
    path.write_text('first')
    assert subprocess.run([sys.executable, '-c', KILLED, path, writers]).returncode == 9
    left = [name for name in names(tmp_path) if name != 'a.txt']
    assert path.read_text() == 'first' and len(left) == 1 and left[0].startswith('.a.txt.') and left[0][-5:] == '.part'
    with atomic_write(path, single_writer=writers == 'single') as part:
        part.write_text('second')
    assert path.read_text() == 'second'
    assert names(tmp_path) == (['a.txt'] if writers == 'single' else [*left, 'a.txt'])


def test_several_writers_have_a_part_each(tmp_path):
    with atomic_write(tmp_path / 'a') as one, atomic_write(tmp_path / 'a') as two:
        assert one != two and one.parent == two.parent == tmp_path
        one.write_text('1')
        two.write_text('2')
    assert (tmp_path / 'a').read_text() == '1', 'the outer block ends last'


def test_sync_happens_before_the_name(tmp_path, monkeypatch):
    calls = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, 'fsync', lambda file: (calls.append('fsync'), sync(file)))
    monkeypatch.setattr(os, 'replace', lambda *paths: (calls.append('replace'), replace(*paths)))
    with atomic_write(tmp_path / 'a', sync=True) as part:
        part.write_text('1')
    assert calls == ['fsync', 'replace']


def test_the_name_of_a_folder():
    assert folder_name(Path('/data/flowers5/train')) == 'flowers5'
    assert folder_name(Path('/data/flowers5')) == 'flowers5'


def test_a_json_file_is_as_it_was_written_or_refused(tmp_path):
    content = {'b': [1, 2.5, None, 'ü'], 'a': {'x': True}}
    path = tmp_path / 'a.json'
    whole = json.dumps(with_checksum(content), indent=1).encode()
    path.write_bytes(whole)
    assert read_checked(path) == content
    for bit in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        try:
            assert read_checked(path) == content, bit
        except ValueError as error:
            assert str(error).startswith(f'{path} is damaged'), (bit, error)
    for text in ('', '[1]', '{"a": 1}', '{"checksum": 3}'):
        path.write_text(text)
        with pytest.raises(ValueError, match='is damaged'):
            read_checked(path)


def test_a_full_disk_is_named_with_the_bytes(tmp_path):
    """/dev/full refuses every byte, as a full disk does."""
    (tmp_path / 'a.txt').write_text('first')
    for needs, said in ((None, 'more bytes'), (lambda: 1234567, '1,234,567 bytes')):
        with pytest.raises(OSError, match='is full') as error, atomic_write(tmp_path / 'a.txt', needs=needs) as part:
            part.symlink_to('/dev/full')
            part.write_text('second')
        text = str(error.value)
        assert f'The disk or quota of {tmp_path} is full: a.txt needs {said}, and ' in text, text
        assert error.value.errno == errno.ENOSPC
    assert (tmp_path / 'a.txt').read_text() == 'first' and names(tmp_path) == ['a.txt']
