"""Runs with fake children: what is skipped, resumed, run side by side, stopped, and recorded."""

import json
import os
import signal
import threading
import time

import pytest

from looc_mm.files import last_checkpoint
from looc_mm.suite.job import BusyError, Job
from looc_mm.suite.records import read_records
from looc_mm.suite.schedule import COMPLETE, FAILED, LEFT

from .conftest import is_alive, wait_until


def test_runs_are_recorded_and_not_run_again(place, capsys):
    configs = [place.pretraining('moco'), place.pretraining('looc')]
    runs = place.plan(configs, [place.evaluation()], seeds=(0, 1))
    assert place.suite(runs).run() == COMPLETE
    assert place.steps() == [
        f'{step}'
        for seed in (0, 1)
        for name in ('moco', 'looc')
        for step in (f'train {name} {seed} -', f'test linear_d {seed} epoch_2.pth')
    ]
    assert {call[-1] for call in place.calls()} == {'3'}  # threads
    assert 'looc seed 1: recorded' in capsys.readouterr().out

    again = place.suite(runs)
    assert again.run() == COMPLETE and len(place.calls()) == 8
    assert again.recorded == 4


def test_a_record(place):
    (run,) = place.plan([place.pretraining()], [place.evaluation()], seeds=(5,), amp=False, options={'data': '/a/b'})
    assert place.suite([run]).run() == COMPLETE
    (record,) = place.read()
    assert record['config'] == 'methods/moco.py' and record['evaluations'] == ['linear/d.py']
    assert record['key'] == run.key and (record['seed'], record['epochs']) == (5, 2)
    assert record['metrics'] == {'linear/d/V/top1': 15.0} and record['ci'] == {'linear/d/V/top1': 0.5}
    assert record['changes'] == {'options': {'data': 'b'}}
    for phase in ('train', 'evaluate'):
        assert set(record[phase]) == {'cpu_seconds', 'wall_seconds'}
        assert 0 < record[phase]['cpu_seconds'] < 10 and 0 < record[phase]['wall_seconds'] < 60
    assert str(place.folder) not in json.dumps(record)
    assert list(place.records.iterdir()) == [place.records / f'moco_seed_5_{run.key}.json']


def test_an_edited_config_is_a_new_run(place):
    path, evaluation = place.pretraining(), place.evaluation()
    assert place.suite(place.plan([path], [evaluation])).run() == COMPLETE
    path.write_text(path.read_text() + 'lr = 1\n')
    assert place.suite(place.plan([path], [evaluation])).run() == COMPLETE
    assert place.steps() == 2 * ['train moco 0 -', 'test linear_d 0 epoch_2.pth']
    assert len(place.read()) == 2


def test_what_is_trained_is_what_was_planned(place):
    """A config that is edited after the plan was made does not reach a run of the plan."""
    path = place.pretraining()
    runs = place.plan([path], [place.evaluation()])
    path.write_text('this is no Python')
    assert place.suite(runs).run() == COMPLETE


def test_another_evaluation_does_not_train_again(place):
    path = place.pretraining()
    place.suite(place.plan([path], [place.evaluation('d')])).run()
    place.suite(place.plan([path], [place.evaluation('d'), place.evaluation('e')])).run()
    assert place.steps() == ['train moco 0 -', 'test linear_d 0 epoch_2.pth', 'test linear_e 0 epoch_2.pth']
    assert len(place.read()) == 2


def test_deleted_checkpoints_are_trained_again_when_they_are_needed(place):
    path = place.pretraining()
    (run,) = place.plan([path], [place.evaluation('d')])
    place.suite([run]).run()
    for checkpoint in (place.folder / 'work' / run.folder).glob('*.pth'):
        checkpoint.unlink()
    (place.records / f'moco_seed_0_{run.key}.json').unlink()
    assert place.suite([run]).run() == COMPLETE and len(place.calls()) == 2
    assert place.suite(place.plan([path], [place.evaluation('d'), place.evaluation('e')])).run() == COMPLETE
    assert place.steps()[2:] == ['train moco 0 -', 'test linear_e 0 epoch_2.pth']


def test_no_epochs_are_random_weights(place):
    (run,) = place.plan([place.pretraining()], [place.evaluation()], epochs=0)
    assert place.suite([run]).run() == COMPLETE
    assert place.steps() == ['test linear_d 0 moco.py']
    assert place.read()[0]['epochs'] == 0


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_and_the_training_is_resumed(place, number, capsys):
    runs = place.plan([place.pretraining(waits=True, grandchild=True)], [place.evaluation()])
    pids = []

    def interrupt():
        pids.extend([place.pid('waiting'), place.pid('grandchild')])
        assert all(map(is_alive, pids))
        os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    thread = threading.Thread(target=interrupt)
    thread.start()
    assert place.suite(runs).run() == 128 + number
    thread.join()
    assert len(pids) == 2
    wait_until(lambda: not any(map(is_alive, pids)))
    assert signal.getsignal(number) == before
    assert 'Left: moco seed 0' in capsys.readouterr().out
    assert not place.read()
    state = place.state(runs[0])
    assert state['train']['cpu_seconds'] > 0 and state['running'] is None

    assert place.suite(runs).run() == COMPLETE
    assert place.steps() == ['train moco 0 epoch_1.pth', 'test linear_d 0 epoch_2.pth']
    assert place.read()[0]['train']['cpu_seconds'] > state['train']['cpu_seconds']


def test_an_evaluation_is_done_again_the_training_is_not(place):
    configs = [place.evaluation('a'), place.evaluation('b', waits=True)]
    runs = place.plan([place.pretraining()], configs)
    suite = place.suite(runs, deadline=time.monotonic() + 600)

    def end_of_time():
        place.pid('waiting')
        suite.deadline = time.monotonic()

    thread = threading.Thread(target=end_of_time)
    thread.start()
    assert suite.run() == LEFT
    thread.join()
    done = ['train moco 0 -', 'test linear_a 0 epoch_2.pth']
    assert place.steps() == done
    place.folder.joinpath('go').touch()
    assert place.suite(runs).run() == COMPLETE
    assert place.steps() == [*done, 'test linear_b 0 epoch_2.pth']


def test_an_attempt_of_unknown_length_is_counted(place):
    """A suite that was killed leaves a state in which the training still runs."""
    (run,) = place.plan([place.pretraining()], [place.evaluation()])
    job = Job(run, place.suite([run]).site)
    job.advance()
    wait_until(lambda: job.child.poll() is not None)
    job.close()
    assert place.suite([run]).run() == COMPLETE
    assert place.steps()[:2] == ['train moco 0 -', 'train moco 0 epoch_2.pth']
    assert place.read()[0]['train']['unmeasured'] == 1
    assert 'unmeasured' not in place.read()[0]['evaluate']


def test_a_stubborn_child_is_killed(place, monkeypatch):
    monkeypatch.setattr('looc_mm.suite.process.stop.__defaults__', (0.3,))
    runs = place.plan([place.pretraining(waits=True, stubborn=True)], [place.evaluation()])
    suite = place.suite(runs, deadline=time.monotonic() + 600)
    pids = []

    def end_of_time():
        pids.append(place.pid('waiting'))
        suite.deadline = time.monotonic()

    thread = threading.Thread(target=end_of_time)
    thread.start()
    assert suite.run() == LEFT
    thread.join()
    assert not is_alive(pids[0])


def test_jobs_overlap_and_no_more_than_allowed(place, monkeypatch):
    runs = place.plan([place.pretraining(meets=True)], [place.evaluation()], seeds=(0, 1, 2, 3))
    suite = place.suite(runs, jobs=2)
    advance, active = suite._advance, []

    def advance_and_count():
        active.append(len(suite.active))
        advance()

    monkeypatch.setattr(suite, '_advance', advance_and_count)
    assert suite.run() == COMPLETE
    assert max(active) == 2


def test_what_does_not_fit_is_not_started(place, capsys, monkeypatch):
    """After the first run there is time for 0.9 of another one."""
    runs = place.plan([place.pretraining()], [place.evaluation()], seeds=(0, 1, 2))
    suite = place.suite(runs)
    advance = suite._advance

    def advance_and_shorten():
        advance()
        for _, seconds in suite.measured:
            suite.deadline = time.monotonic() + 0.9 * sum(seconds.values())

    monkeypatch.setattr(suite, '_advance', advance_and_shorten)
    assert suite.run() == LEFT
    assert [record['seed'] for record in place.read()] == [0]
    assert suite.left == runs[1:]
    assert 'moco seed 2: not started' in capsys.readouterr().out


def test_the_expected_time(place):
    runs = place.plan([place.pretraining()], [place.evaluation()])
    suite = place.suite(runs)
    assert suite.expected(runs[0]) == 0.0
    suite.measured.append(('moco', {'train': 1.0, 'evaluate': 2.0}))
    suite.measured.append(('other', {'train': 100.0, 'evaluate': 100.0}))
    assert suite.expected(runs[0]) == 3.0  # of its own config
    (other,) = place.plan([place.pretraining('looc')], [place.evaluation()])
    assert suite.expected(other) == (3 + 200) / 2  # of all, where its config has not finished yet


def test_only_the_rest_of_a_run_must_fit(place):
    path = place.pretraining()
    place.suite(place.plan([path], [place.evaluation('d')])).run()
    (run,) = place.plan([path], [place.evaluation('d'), place.evaluation('e')])
    suite = place.suite([run])
    suite.measured = [('moco', {'train': 500.0, 'evaluate': 50.0})]
    assert suite.expected(run) == 50.0


def test_no_run_starts_after_the_end(place):
    runs = place.plan([place.pretraining()], [place.evaluation()])
    assert place.suite(runs, deadline=time.monotonic()).run() == LEFT
    assert place.calls() == []


def test_a_failed_child_does_not_stop_the_others(place, capsys):
    runs = place.plan([place.pretraining(fails='1')], [place.evaluation()], seeds=(0, 1, 2))
    assert place.suite(runs).run() == FAILED
    printed = capsys.readouterr().out
    assert 'moco seed 1: training failed with status 1' in printed and 'this went wrong' in printed
    assert 'Failed: moco seed 1.' in printed
    assert sorted(record['seed'] for record in place.read()) == [0, 2]
    log = place.folder / 'work' / runs[1].folder / 'suite/train.log'
    assert log.read_text().splitlines()[-1] == 'this went wrong'


def test_a_failed_evaluation(place, capsys):
    runs = place.plan([place.pretraining()], [place.evaluation(fails='0')])
    assert place.suite(runs).run() == FAILED
    assert 'moco seed 0: evaluation linear_d failed with status 1' in capsys.readouterr().out
    assert place.state(runs[0])['trained'] is True


def test_a_training_without_a_checkpoint_fails(place, capsys):
    (place.tools / 'train.py').write_text('')
    assert place.suite(place.plan([place.pretraining()], [place.evaluation()])).run() == FAILED
    assert 'training left no checkpoint' in capsys.readouterr().out


def test_two_suites_do_not_work_on_one_run(place, capsys):
    runs = place.plan([place.pretraining('moco'), place.pretraining('looc')], [place.evaluation()])
    other = Job(runs[0], place.suite(runs).site)
    with pytest.raises(BusyError):
        Job(runs[0], place.suite(runs).site)
    assert place.suite(runs).run() == LEFT
    assert 'moco seed 0: not started, another process works on it' in capsys.readouterr().out
    assert [record['config'] for record in place.read()] == ['methods/looc.py']
    other.close()
    assert place.suite(runs).run() == COMPLETE


def test_a_run_that_another_suite_has_recorded_meanwhile(place):
    runs = place.plan([place.pretraining()], [place.evaluation()])
    late = place.suite(runs)
    place.suite(runs).run()
    assert late.run() == COMPLETE and len(place.calls()) == 2


def test_features_are_kept_for_the_evaluations_alone(place):
    (run,) = place.plan([place.pretraining()], [place.evaluation()])
    folder = place.folder / 'work' / run.folder
    test = place.tools / 'test.py'
    test.write_text(test.read_text() + 'pathlib.Path(args.cache).mkdir()\n')
    assert place.suite([run]).run() == COMPLETE
    assert last_checkpoint(folder) == folder / 'epoch_2.pth'
    assert not (folder / 'features').exists()


def test_a_record_has_the_newest_results_of_an_evaluation(place):
    """The training was repeated after its first evaluation: results.json keeps both."""
    (run,) = place.plan([place.pretraining()], [place.evaluation()])
    test = place.tools / 'test.py'
    test.write_text(
        test.read_text().replace(
            'json.dumps([score])', "json.dumps([score | {'weights': 'old', 'value': 1}, score | {'weights': 'new'}])"
        )
    )
    assert place.suite([run]).run() == COMPLETE
    (record,) = read_records(place.folder / 'records')
    assert len(record['metrics']) == 1 and 1 not in record['metrics'].values()
