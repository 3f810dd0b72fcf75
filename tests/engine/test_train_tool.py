import argparse
import json
import runpy
import sys
from pathlib import Path
from uuid import uuid4

import pytest
import torch

from looc_mm import cli
from looc_mm.cli.arguments import add_arguments
from looc_mm.cli.train import build_config

TRAIN = Path(__file__).parents[2] / 'tools/train.py'


@pytest.fixture
def train(toy_config, monkeypatch):
    def run(*options):
        monkeypatch.setattr(sys, 'argv', ['train.py', str(toy_config), *map(str, options)])
        runpy.run_path(str(TRAIN), run_name='__main__')

    return run


@pytest.fixture
def parsed(toy_config):
    def parse(*options):
        parser = argparse.ArgumentParser()
        add_arguments(parser, cli.train)
        arguments = vars(parser.parse_args([str(toy_config), *map(str, options)]))
        for name in ('overwrite', 'log', 'plugin', 'launcher'):
            del arguments[name]
        return build_config(**arguments)

    return parse


def test_trains_and_resumes(train, tmp_path):
    work_dir = tmp_path / 'chosen'
    train('--work-dir', work_dir, '--cfg-options', 'train_cfg.max_epochs=1')
    train('--work-dir', work_dir, '--resume', '--cfg-options', 'train_cfg.max_epochs=2')
    assert torch.load(work_dir / 'epoch_2.pth', weights_only=True)['meta']['iter'] == 8
    train('--work-dir', tmp_path / 'other', '--resume', work_dir / 'epoch_1.pth')
    assert torch.load(tmp_path / 'other/epoch_3.pth', weights_only=True)['meta']['iter'] == 12


def test_a_used_work_dir_is_not_overwritten(train, tmp_path):
    one_epoch = ['--cfg-options', 'train_cfg.max_epochs=1']
    work_dir = tmp_path / 'work'
    train(*one_epoch)
    (work_dir / 'last_checkpoint').unlink()
    before = {path: path.read_bytes() for path in work_dir.rglob('*') if path.is_file() and path.name != '.lock'}
    ways = r'holds checkpoints .*, the last one epoch_1.pth; .*--resume, give another --work-dir, or .*--overwrite'
    with pytest.raises(ValueError, match=ways):
        train(*one_epoch, 'optim_wrapper.optimizer.lr=0.2')
    assert before == {
        path: path.read_bytes() for path in work_dir.rglob('*') if path.is_file() and path.name != '.lock'
    }
    (work_dir / 'epoch_9.pth').write_bytes(b'kept')
    train('--overwrite', *one_epoch, 'optim_wrapper.optimizer.lr=0.2')
    assert (work_dir / 'epoch_1.pth').read_bytes() != before[work_dir / 'epoch_1.pth']
    assert (work_dir / 'epoch_9.pth').read_bytes() == b'kept'
    train('--cfg-options', 'resume=True', f'load_from={work_dir}/epoch_1.pth', 'train_cfg.max_epochs=2')
    assert (work_dir / 'epoch_2.pth').exists()
    with pytest.raises(SystemExit):
        train('--resume', '--overwrite')


@pytest.mark.parametrize('options, said', [(['--resume'], 1), ([], 0)])
def test_resuming_an_empty_work_dir_is_logged(train, tmp_path, options, said):
    train(*options, '--cfg-options', 'train_cfg.max_epochs=1', f'experiment_name={uuid4().hex}')
    (log,) = (tmp_path / 'work').glob('*/*.log')
    assert log.read_text().count('work holds no checkpoint to resume: the training begins at step 0.') == said


def test_non_finite_loss_is_a_failure(train):
    with pytest.raises(FloatingPointError):
        train('--cfg-options', 'model.poison=nan')


def test_weights_that_become_nan_in_the_last_step_are_a_failure(train, toy_config, tmp_path):
    with toy_config.open('a') as file:
        file.write("custom_hooks = [dict(type='PoisonGradient', iteration=1)]")
    with pytest.raises(FloatingPointError, match='the weights are NaN or infinite after iteration 12'):
        train('--cfg-options', 'custom_hooks.0.iteration=12')
    assert not (tmp_path / 'work/epoch_3.pth').exists()


@pytest.mark.parametrize('steps, rates', [(1, [0.1]), (4, [0.001, 0.1, 0.1, 0.05])])
def test_a_training_of_one_short_epoch(train, toy_config, tmp_path, steps, rates):
    """One step has no warm-up; of four steps two are the warm-up, and the cosine falls over the other two."""
    with toy_config.open('a') as file:
        file.write("""
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, convert_to_iter_based=True)]
""")
    options = [
        f'train_dataloader.batch_size={16 // steps}',
        'train_cfg.max_epochs=1',
        'default_hooks.logger.interval=1',
    ]
    train('--cfg-options', *options, 'log_processor.window_size=1', f'experiment_name={uuid4().hex}')
    (log,) = (tmp_path / 'work').glob('*/*.log')
    said = 'An epoch has 1 steps, too few' in log.read_text()
    assert said == (steps == 1)
    assert (
        'LinearLR would have no step and is dropped, and CosineAnnealingLR begins at step 0' in log.read_text()
    ) == said
    (scalars,) = (tmp_path / 'work').glob('*/vis_data/scalars.json')
    found = [json.loads(line)['lr'] for line in scalars.read_text().splitlines()]
    assert found == pytest.approx(rates)


def test_options_reach_the_config(parsed, toy_config):
    toy_config.write_text(
        toy_config.read_text().replace('work_dir', 'unused') + 'auto_scale_lr = dict(base_batch_size=256)'
    )
    cfg = parsed('--amp', '--seed', 7, '--auto-scale-lr', '--cfg-options', 'optim_wrapper.optimizer.lr=0.5')
    assert Path(cfg.work_dir) == Path('work_dirs/toy')
    assert cfg.optim_wrapper.type == 'AutocastOptimWrapper'
    assert cfg.randomness.seed == 7
    assert cfg.auto_scale_lr == dict(base_batch_size=256, enable=True)
    assert cfg.optim_wrapper.optimizer.lr == 0.5


def test_auto_scale_lr_counts_the_accumulated_batches(toy_config, parsed):
    toy_config.write_text(toy_config.read_text() + 'auto_scale_lr = dict(base_batch_size=256)')
    cfg = parsed('--auto-scale-lr', '--cfg-options', 'optim_wrapper.accumulative_counts=4')
    assert cfg.auto_scale_lr.base_batch_size == 64  # a pass of 64 images is the fourth of a step of 256


def test_auto_scale_lr_needs_a_base(parsed):
    with pytest.raises(ValueError, match='base_batch_size'):
        parsed('--auto-scale-lr')


def test_missing_checkpoint_is_named(train):
    with pytest.raises(FileNotFoundError, match='nowhere.pth'):
        train('--resume', 'nowhere.pth')
