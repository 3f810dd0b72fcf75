"""The lines, the table and the picture of a training, and what the console leaves out."""

import csv
import logging
import re
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.hooks import Hook
from mmengine.logging import MMLogger, print_log

from looc_mm.engine import TrainingLog
from looc_mm.engine.console import make_readable
from looc_mm.engine.curves import Curves
from looc_mm.engine.training_log import duration, images_of, spaces_text
from looc_mm.engine.watch_spaces import Means


class Clock(Hook):
    """A step takes as long as the test says."""

    priority = 'VERY_HIGH'

    def __init__(self, seconds):
        self.seconds, self.now = seconds, 1000.0

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.now += self.seconds


def train(build_runner, monkeypatch, seconds, **options):
    runner, clock = build_runner(**options), Clock(seconds)
    monkeypatch.setattr(time, 'monotonic', lambda: clock.now)
    runner.register_hook(clock)
    runner.train()
    log = next(Path(runner.log_dir).glob('*.log')).read_text()
    return runner, re.findall(r'INFO - ((?:epoch \S+  )?step .*)', log)


def table(runner):
    with open(f'{runner.work_dir}/curves.csv', newline='') as file:
        return list(csv.DictReader(file))


def test_a_line_for_each_epoch(build_runner, monkeypatch):
    """Steps of 2 s with 4 images; 3 epochs of 4 steps, whose lines have the means of their own losses."""
    runner, lines = train(build_runner, monkeypatch, 2.0)
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert lines == [
        f'epoch 1/3  step 4/12  16 s left  2 images/s  loss {losses[:4].mean():.3f}',
        f'epoch 2/3  step 8/12  8 s left  2 images/s  loss {losses[4:8].mean():.3f}',
        f'epoch 3/3  step 12/12  0 s left  2 images/s  loss {losses[8:].mean():.3f}',
    ]


def test_a_line_at_least_every_30_seconds(build_runner, monkeypatch):
    """Steps of 20 s: within an epoch of four the third step is 40 s after the first."""
    _, lines = train(build_runner, monkeypatch, 20.0)
    steps = [int(re.search(r'step (\d+)/', line)[1]) for line in lines]
    assert steps == [3, 4, 6, 8, 10, 12]
    assert 'epoch 0.75/3  step 3/12  3 min left  0.2 images/s' in lines[0]


def test_an_iteration_loop_has_steps_only(build_runner, monkeypatch):
    runner, lines = train(
        build_runner,
        monkeypatch,
        20.0,
        train_cfg=dict(_delete_=True, by_epoch=False, max_iters=5),
        train_dataloader__sampler__type='InfiniteSampler',
        param_scheduler=[],
        default_hooks__checkpoint__by_epoch=False,
    )
    assert [line.split('  ')[0] for line in lines] == ['step 3/5', 'step 5/5']
    assert [row['epoch'] for row in table(runner)] == ['', '']


def test_the_table_goes_on_where_a_training_resumes(build_runner, monkeypatch):
    """A training that was cut off after two checkpoints and a half: its last row is made again."""
    runner, _ = train(build_runner, monkeypatch, 2.0, train_cfg__max_epochs=2)
    first = table(runner)
    assert [row['step'] for row in first] == ['4', '8']
    with open(f'{runner.work_dir}/curves.csv', 'a') as file:
        file.write(','.join(['10', *['9'] * (len(first[0]) - 1)]) + '\n')
    monkeypatch.undo()
    resumed, lines = train(build_runner, monkeypatch, 2.0, resume=True)
    # Two trainings that begin within a second write to one log: the lines of the second count to three epochs.
    assert len([line for line in lines if line.startswith('epoch 3/3')]) == 1
    assert not [line for line in lines if re.match('epoch [12]/3', line)] and table(resumed)[:2] == first
    assert [row['step'] for row in table(resumed)] == ['4', '8', '12']
    assert float(table(resumed)[2]['minutes']) > float(first[1]['minutes'])


def test_a_new_training_replaces_the_table(build_runner, monkeypatch):
    for _ in range(2):
        runner, _ = train(build_runner, monkeypatch, 2.0)
        monkeypatch.undo()
    assert [row['step'] for row in table(runner)] == ['4', '8', '12']


def test_rows_and_drawings_take_a_bounded_share(tmp_path, monkeypatch):
    """Ten drawings of 3 s, were they made at every row; one is due again after 3 / 0.005 s."""
    now = [0.0]
    monkeypatch.setattr(time, 'monotonic', lambda: now[0])
    curves, drawn = Curves(tmp_path, ['color'], step=0), []

    def slow():
        drawn.append(now[0])
        now[0] += 3

    monkeypatch.setattr('looc_mm.visualization.draw_curves', lambda *_: slow())
    for step in range(1, 11):
        curves.add(dict(step=step, loss=1.0))
        now[0] += 100
    assert len(drawn) == 2 and drawn[1] >= 3 + 3 / 0.005


def test_the_picture_shows_every_space_and_chance(tmp_path):
    from matplotlib.figure import Figure

    from looc_mm.visualization import draw_curves

    rows = [
        dict(
            step=str(step), epoch=str(step / 4), loss=f'{5 / step}', P_color='0.7', pos_color='0.9', others_color='0.1'
        )
        for step in range(1, 2001)
    ]
    rows[-1]['state_color'] = 'learning'
    figure = Figure()
    draw_curves(figure, rows, ['color', 'rotation'])
    loss, told_apart, similarity = figure.axes
    assert len(loss.lines[0].get_xdata()) <= 500 and loss.lines[0].get_xdata()[-1] == 500
    texts = [text.get_text() for text in told_apart.get_legend().get_texts()]
    assert texts == ['color: learning', 'chance']
    assert set(told_apart.lines[-1].get_ydata()) == {0.5}
    colors = {line.get_color() for axis in (told_apart, similarity) for line in axis.lines} - {'black'}
    assert len(colors) == 1
    curves = Curves(tmp_path, ['color'], step=0)
    curves.add(dict(step=1, epoch=0.5, loss=2.0, P_color=0.6))
    assert np.unique(cv2.imread(str(tmp_path / 'curves.png')).reshape(-1, 3), axis=0).shape[0] > 20


def test_means_over_readings_weigh_by_the_number_of_values():
    means = Means()
    means.add({'color': {'P': (0.5, 30), 'pos': (0.2, 1)}})
    means.add({'color': {'P': (0.9, 10)}})
    assert means.take() == {'color': {'P': (pytest.approx(0.6), 40), 'pos': (0.2, 1)}}
    assert means.take() == {}


@pytest.mark.parametrize('drop_last', [False, True])
def test_the_last_batch_counts_its_own_images(build_runner, drop_last):
    """16 pictures in batches of 6: the third has 4. It counted as 6 in the speed."""
    runner = build_runner(train_dataloader__batch_size=6, train_dataloader__drop_last=drop_last)
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    sizes = [len(batch['inputs']) for _ in range(3) for batch in runner.train_dataloader]
    assert sizes[:3] == ([6, 6, 6] if drop_last else [6, 6, 4])
    for steps in range(len(sizes)):
        assert images_of(runner, steps) == sum(sizes[:steps])


def test_words_of_a_line():
    values = {'color': {'pos': (0.812, 4), 'P': (0.93, 4), 'others': (0.1, 4)}, 'texture': {'pos': (0.5, 4)}}
    text = spaces_text(values, {'color': 'learning', 'texture': None})
    assert text == ' | positive, P (chance 0.5), others: color 0.81 0.93 0.10 learning; texture 0.50 - -'
    assert [duration(each) for each in (3.4, 60, 3600, 12000)] == ['3 s', '1 min', '60 min', '3 h 20 min']


def test_the_console_leaves_out_what_the_framework_reports(tmp_path, capsys):
    logger = MMLogger(name='console', log_file=str(tmp_path / 'all.log'))
    make_readable(logger)
    make_readable(logger)

    def framework(level, text):  # a function of a file of MMEngine
        source = compile(f'logger.log({level}, {text!r})', logging_hook_file(), 'exec')
        exec(source, {'logger': logger})

    framework(logging.INFO, 'Exp name: x')
    framework(logging.WARNING, 'this is deprecated')
    framework(logging.WARNING, 'the seed changed')
    logger.info('ours')
    logger.warning('our deprecated option')
    print_log('through print_log', logger=logger)
    shown = [line.partition(' ')[2] for line in capsys.readouterr().out.splitlines()]
    assert shown == ['WARNING: the seed changed', 'ours', 'WARNING: our deprecated option', 'through print_log']
    for handler in logger.handlers:
        handler.flush()
    assert len((tmp_path / 'all.log').read_text().splitlines()) == 6


def logging_hook_file():
    import mmengine.hooks.logger_hook

    return mmengine.hooks.logger_hook.__file__


def test_the_time_between_lines_is_checked():
    with pytest.raises(ValueError, match='seconds=0'):
        TrainingLog(seconds=0)
