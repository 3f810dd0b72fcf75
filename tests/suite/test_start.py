"""From a plan to its records, checks included."""

import pytest
import torch

from looc_mm.machine import device_name, threads, versions
from looc_mm.suite import run_plan
from looc_mm.suite.schedule import COMPLETE
from looc_mm.version import __version__


@pytest.fixture
def runs(place):
    data = {'type': 'Factors', 'length': 4, 'pipeline': []}
    loader = {'batch_size': 2, 'dataset': data}
    evaluate = {'test_cfg.train_dataloader': loader, 'test_dataloader': loader, 'default_scope': 'looc_mm'}
    train = {'model': {'type': 'ResNet', 'depth': 18}, 'train_dataloader.dataset': data, 'default_scope': 'looc_mm'}
    return place.plan([place.pretraining()], [place.evaluation()], options=train, evaluate_options=evaluate)


def test_the_same_command_does_nothing_the_second_time(place, runs, monkeypatch, capsys):
    monkeypatch.setattr('looc_mm.machine.threads', lambda jobs: 7)
    arguments = [place.records, place.folder / 'work', place.tools, 2]
    assert run_plan(runs, *arguments) == COMPLETE
    (record,) = place.read()
    assert record['method'] == {'type': 'ResNet', 'spaces': [], 'strategy': None}
    assert record['data'] == {'type': 'Factors', 'pictures': 4}
    assert (record['threads'], record['jobs'], record['device']) == (7, 2, device_name())
    assert record['versions'] == versions()
    if not torch.cuda.is_available():
        assert [call[-1] for call in place.calls()] == ['7', '7']

    def no_check(waiting):
        raise AssertionError('nothing is left to check')

    monkeypatch.setattr('looc_mm.suite.check.check', no_check)
    assert run_plan(runs, *arguments) == COMPLETE
    assert len(place.calls()) == 2
    assert f'1 runs, 1 of them recorded in {place.records}' in capsys.readouterr().out


def test_nothing_starts_when_a_run_cannot_be_built(place, runs):
    broken = place.plan([place.pretraining()], [place.evaluation()])
    with pytest.raises(ValueError, match="methods/moco.py: .*\\n.*model.type: got 'Fake'"):
        run_plan([*broken, *runs], place.records, place.folder / 'work', place.tools)
    assert place.calls() == [] and not (place.folder / 'work').exists()


@pytest.mark.parametrize(
    ('jobs', 'minutes', 'message'), [(0, None, '--jobs is at least 1, got 0'), (1, 0, '--minutes')]
)
def test_numbers_out_of_range(place, jobs, minutes, message):
    with pytest.raises(ValueError, match=message):
        run_plan([], place.records, place.folder, place.tools, jobs, minutes)


@pytest.mark.parametrize(
    ('variable', 'jobs', 'expected'),
    [(None, 1, 8), (None, 3, 2), (None, 20, 1), ('1', 2, 1), ('6', 2, 4), ('', 2, 4), ('0', 2, 4)],
)
def test_threads_of_a_child_on_eight_cores(monkeypatch, variable, jobs, expected):
    monkeypatch.setattr('looc_mm.machine.on_cpu', lambda: True)
    monkeypatch.setattr('os.sched_getaffinity', lambda pid: set(range(8)), raising=False)
    if variable is None:
        monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    else:
        monkeypatch.setenv('OMP_NUM_THREADS', variable)
    assert threads(jobs) == expected


def test_versions_are_those_of_the_modules():
    assert versions()['torch'].partition('+')[0] == torch.__version__.partition('+')[0]
    assert versions()['looc_mm'] == __version__
    assert set(versions()) == {'looc_mm', 'torch', 'mmengine', 'mmpretrain', 'Python'}
