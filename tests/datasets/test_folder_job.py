from functools import partial
from pathlib import Path

import pytest

from looc_mm.datasets.folder_job import FolderJob, Report


def copy(out: Path, number: int) -> Report:
    """Write a number into a file of its own; every fifth one is broken, and a unit takes two steps."""
    path = out / str(number)
    if number % 5 == 4:
        return Report(steps=2, broken={str(number): 'odd'})
    if path.exists():
        return Report(finished=1, steps=2)
    path.write_text(str(number))
    return Report(made=1, steps=2)


@pytest.mark.parametrize('workers', [0, 2])
def test_all_units_are_done_once_and_added_up(tmp_path, capsys, workers):
    out = tmp_path / 'new/out'
    job = FolderJob(out, 'note.json', {'names': ('a', 'b')}, 'Copied')
    (out / '7').write_text('of an earlier run')
    report = job.run(partial(copy, out), range(13), workers, 26)
    assert report == Report(made=10, finished=1, steps=26, broken={'4': 'odd', '9': 'odd'})
    assert {path.name for path in out.iterdir()} == {'note.json', *map(str, {*range(13)} - {4, 9})}
    assert (out / '7').read_text() == 'of an earlier run'
    printed = capsys.readouterr()
    assert 'Copied: 100%' in printed.err and '26/26' in printed.err and 'Skipped 4: odd' in printed.out
    assert report.show('summary') == 1 and Report().show('none') == 0
    printed = capsys.readouterr()
    assert printed.out == 'summary\nnone\n' and printed.err == 'Broken: 4: odd\nBroken: 9: odd\n'


def test_a_folder_belongs_to_its_settings(tmp_path):
    FolderJob(tmp_path, 'note.json', {'size': 2, 'names': ('a',)}, 'Copied')
    FolderJob(tmp_path, 'note.json', {'size': 2, 'names': ['a']}, 'Copied')
    with pytest.raises(ValueError, match=r"other settings, \(then, now\): \{'size': \(2, 3\)\}"):
        FolderJob(tmp_path, 'note.json', {'size': 3, 'names': ['a']}, 'Copied')


def test_damaged_settings_are_named(tmp_path):
    FolderJob(tmp_path, 'note.json', {'size': 2}, 'Copied')
    (tmp_path / 'note.json').write_text('{"size":')
    with pytest.raises(ValueError, match='note.json is damaged .*Delete it if the settings are the same'):
        FolderJob(tmp_path, 'note.json', {'size': 2}, 'Copied')


def test_reports_are_taken_while_the_work_goes_on(tmp_path):
    job, done = FolderJob(tmp_path, 'note.json', {}, 'Copied'), []

    def reports():
        for number in range(3):
            yield Report(made=number, steps=1)
            done.append(number)
        raise OSError('the disk is full')

    with pytest.raises(OSError, match='full'):
        job.collect(reports(), 3)
    assert done == [0, 1, 2]
