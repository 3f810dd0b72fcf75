"""tools/test.py as users start it."""

import itertools
import json
import os
import re
import runpy
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from looc_mm import cli
from looc_mm.evaluation.run import choose_protocols
from looc_mm.export import get_features
from looc_mm.registry import MODELS

ROOT = Path(__file__).parents[2]
FACTORS = ROOT / 'configs/linear_eval/factors.py'
SMALL = [
    'test_cfg.train_dataloader.dataset.length=48',
    'test_dataloader.dataset.length=45',
    'test_dataloader.batch_size=10',
    'test_dataloader.num_workers=0',
    'test_cfg.train_dataloader.num_workers=0',
]
PRETRAINING = """
model = dict(
    type='MultiHeadMoCo',
    data_preprocessor=dict(
        type='LeaveOneOutPreprocessor',
        pipeline=dict(
            type='LeaveOneOutPipeline',
            augmentations=[
                dict(type='RandomResizedCrop', size=64),
                dict(type='RandomRightAngleRotation', prob=0.5),
                dict(type='ColorJitter'),
            ],
        ),
    ),
    backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8),
    neck=dict(type='QueuePerHeadNeck', in_channels=64, hid_channels=16, out_channels=8, queue_len=64),
    head=dict(type='LooCLoss', temperature=0.2),
)
"""


@pytest.fixture
def pretraining(tmp_path):
    path = tmp_path / 'pretraining.py'
    path.write_text(PRETRAINING)
    return path


@pytest.fixture
def checkpoint(pretraining, tmp_path):
    cfg = Config.fromfile(pretraining)
    init_default_scope('looc_mm')
    torch.manual_seed(0)
    path = tmp_path / 'epoch_1.pth'
    meta = {'cfg': cfg.pretty_text, 'experiment_name': 'mine_20250102_030405'}
    torch.save({'state_dict': MODELS.build(cfg.model).state_dict(), 'meta': meta}, path)
    return path


@pytest.fixture
def run_tool(monkeypatch, tmp_path):
    """Run the tool in this process and read its results."""

    def run(*arguments, work_dir=tmp_path / 'out'):
        arguments = ['test.py', *arguments, '--work-dir', work_dir, '--cfg-options', *SMALL]
        monkeypatch.setattr(sys, 'argv', list(map(str, arguments)))
        runpy.run_path(str(ROOT / 'tools/test.py'), run_name='__main__')
        return json.loads((work_dir / 'results.json').read_text())

    return run


def test_a_checkpoint_brings_its_model(run_tool, checkpoint, capsys):
    records = run_tool(FACTORS, checkpoint, '--seed', 2)
    assert [record['factor'] for record in records if record['metric'] == 'top1'] == [
        'shape',
        'color',
        'texture',
        'rotation',
    ]
    assert all(record['checkpoint'] == str(checkpoint) and record['seed'] == 2 for record in records)
    assert all(record['representation'] == 'V' and record['experiment'] == 'mine' for record in records)
    assert 'RANDOM' not in capsys.readouterr().out


def test_a_work_dir_and_cache_that_cannot_be_written_end_no_evaluation(checkpoint, capfd):
    small = {key: int(value) for key, value in (option.split('=') for option in SMALL)}
    arguments = dict(work_dir='/dev/null/out', cache='/dev/null/cache', protocols=['knn'])
    assert list(cli.test(FACTORS, checkpoint, **arguments, cfg_options=small))
    printed = capfd.readouterr()
    assert 'The folder /dev/null/out cannot be written' in printed.out + printed.err
    assert 'The cache /dev/null/cache cannot be written' in printed.out + printed.err


def test_all_spaces(run_tool, checkpoint):
    records = run_tool(FACTORS, checkpoint, '--spaces', 'all', 'color+rotation')
    top1 = [record for record in records if record['metric'] == 'top1']
    linear = [record['representation'] for record in top1 if record.get('factor') == 'shape']
    assert linear == [['invariant'], ['rotation'], ['color'], ['color', 'rotation']]
    with pytest.raises(ValueError, match=r"\['texture'\].*\['invariant', 'rotation', 'color'\]"):
        run_tool(FACTORS, checkpoint, '--spaces', 'texture')


def test_protocols_by_name(run_tool, checkpoint, tmp_path, capsys):
    """On Factors once for each factor, with the options that the config sets."""
    options = ['--cache', tmp_path / 'features', '--protocols']
    records = run_tool(FACTORS, checkpoint, *options, 'knn', 'rotation')
    found = [(record['protocol'], record['factor']) for record in records if record['metric'] == 'top1']
    assert found == [('knn', 'shape'), ('knn', 'color'), ('knn', 'texture'), ('rotation', 'rotation')]
    with pytest.raises(
        ValueError, match=r"protocol 'cnn'; known are \['audit', 'few_shot', 'head_preference', 'invariance'"
    ):
        run_tool(FACTORS, checkpoint, *options, 'cnn')
    with pytest.raises(ValueError, match='Others need a config that sets them up'):
        run_tool(FACTORS, checkpoint, *options, 'robustness')
    capsys.readouterr()
    every = run_tool(FACTORS, checkpoint, *options, 'all')
    assert re.search(
        r'few_shot is left out: a class of shape has \d training images, and 10 shots', capsys.readouterr().out
    )
    names = {'linear', 'rotation', 'knn', 'retrieval', 'head_preference', 'invariance', 'space_ablation', 'regression'}
    assert {record['protocol'] for record in every} == names
    with pytest.raises(ValueError, match='The protocol few_shot cannot run: a class of shape has'):
        run_tool(FACTORS, checkpoint, *options, 'few_shot')
    linear = [{'type': 'LinearProbe', 'label': 'a'}, {'type': 'AugmentedLinearProbe'}]
    assert choose_protocols(['linear'], linear) == linear
    assert choose_protocols(['KNNProbe', 'linear'], []) == [{'type': 'KNNProbe'}, {'type': 'LinearProbe'}]


def test_a_model_without_spaces(run_tool, tmp_path, capsys):
    config = tmp_path / 'supervised.py'
    config.write_text("""
model = dict(
    type='ImageClassifier', backbone=dict(type='ResNet', depth=18, stem_channels=8, base_channels=8),
    data_preprocessor=dict(mean=[127.5] * 3, std=[51.0] * 3),
    neck=dict(type='GlobalAveragePooling'), head=dict(type='LinearClsHead', num_classes=2, in_channels=64))
""")
    records = run_tool(FACTORS, config, '--protocols', 'all')
    assert {record['protocol'] for record in records} == {'linear', 'rotation', 'knn', 'retrieval', 'regression'}
    printed = capsys.readouterr().out
    assert 'head_preference is left out: the model has no spaces.' in printed
    assert 'invariance is left out: the model makes no views' in printed
    with pytest.raises(ValueError, match='The protocol space_ablation cannot run: the model has no spaces'):
        run_tool(FACTORS, config, '--protocols', 'space_ablation')


def test_random_weights_are_a_baseline_that_says_so(run_tool, pretraining, capsys, tmp_path):
    first = run_tool(FACTORS, pretraining)
    assert 'RANDOM WEIGHTS' in capsys.readouterr().out
    assert all(record['checkpoint'] is None for record in first)
    again = run_tool(FACTORS, pretraining, work_dir=tmp_path / 'again')
    assert [record['value'] for record in again] == [record['value'] for record in first]


def test_random_weights_are_random_where_the_config_reads_weights_from_a_file(run_tool, pretraining, tmp_path):
    """A pretrained backbone was evaluated under the name of random weights. There is no file to read."""
    init = f"init_cfg=dict(type='Pretrained', checkpoint={str(tmp_path / 'none.pth')!r})"
    pretraining.write_text(PRETRAINING.replace("backbone=dict(type='ResNet',", f"backbone=dict(type='ResNet', {init},"))
    assert {record['checkpoint'] for record in run_tool(FACTORS, pretraining)} == {None}


@pytest.mark.parametrize('option', [{'load_from': 'other.pth'}, {'resume': True}])
def test_other_weights_cannot_replace_those_of_the_checkpoint(checkpoint, option):
    with pytest.raises(
        ValueError, match=r'would replace the weights of .*epoch_1.pth. Give the checkpoint as the second'
    ):
        cli.test(FACTORS, checkpoint, cfg_options=option)


def test_a_folder_that_lacks_a_class_beside_another_folder_in_one_work_dir(pretraining, tmp_path, monkeypatch, capsys):
    """The default work dir is named after config and checkpoint: it had the records of the last folder alone."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    for name, tested in (('one', 'abc'), ('two', 'ca')):
        for split, classes in (('train', 'abc'), ('val', tested)):
            for label, index in itertools.product(classes, range(6)):
                path = tmp_path / name / split / label / f'{index}.png'
                path.parent.mkdir(parents=True, exist_ok=True)
                picture = draw.integers(0, 40, (32, 32, 3)) + 200 * (np.arange(3) == 'abc'.index(label))
                cv2.imwrite(str(path), picture.astype(np.uint8))

    def test(name: str, *options: str) -> int:
        words = ['test', 'linear_eval/folder', str(pretraining), '--data-root', str(tmp_path / name), *options]
        loaders = ('test_dataloader', 'test_cfg.train_dataloader')
        changes = [f'{loader}.{each}' for loader in loaders for each in ('num_workers=0', 'batch_size=9')]
        return cli.main([*words, '--cfg-options', *changes])

    assert test('one') == 0
    assert test('two') == 2
    assert "The test pictures lack 1 of 3 classes: 'b'" in capsys.readouterr().err
    assert test('two', '--allow-missing-classes') == 0
    (path,) = tmp_path.glob('work_dirs/linear_eval/folder/*/results.json')
    one, two = json.loads(path.read_text())
    assert (one['value'], two['value']) == (100, 100), 'the colours are the classes'
    assert 'missing_classes' not in one and two['missing_classes'] == 1
    assert one['weights'] == two['weights'] and one['data'] != two['data'] and one['classes'] != two['classes']


def test_a_model_in_the_evaluation_config_wins(run_tool, checkpoint, tmp_path):
    config = tmp_path / 'own_model.py'
    wider = PRETRAINING.replace('channels=8', 'channels=16').replace('in_channels=64', 'in_channels=128')
    config.write_text(f'_base_ = {str(FACTORS)!r}\n{wider}')
    with pytest.raises(ValueError, match='epoch_1.pth does not fit the model.*backbone.conv1.weight'):
        run_tool(config, checkpoint)


def test_what_cannot_be_evaluated(run_tool, checkpoint, tmp_path):
    with pytest.raises(FileNotFoundError, match='none.pth'):
        run_tool(FACTORS, tmp_path / 'none.pth')
    with pytest.raises(ValueError, match='factors.py has no `model`'):
        run_tool(FACTORS, FACTORS)
    checkpoint.write_bytes(checkpoint.read_bytes()[:10_000])
    with pytest.raises(ValueError, match='epoch_1.pth is damaged'):
        run_tool(FACTORS, checkpoint)


def test_a_checkpoint_with_pickled_objects_needs_the_flag(run_tool, checkpoint):
    torch.save({**torch.load(checkpoint), 'message_hub': Path}, checkpoint)
    with pytest.raises(ValueError, match='--trust-checkpoint'):
        run_tool(FACTORS, checkpoint)
    assert run_tool(FACTORS, checkpoint, '--trust-checkpoint')
    assert not [name for name in os.environ if 'WEIGHTS_ONLY' in name], 'trust is for this file alone'


def test_heads_that_are_missing_are_told_without_spaces_asked_for(run_tool, checkpoint):
    """Retrieval and ablation read them whatever --spaces says."""
    content = torch.load(checkpoint)
    content['state_dict'] = {k: v for k, v in content['state_dict'].items() if k.startswith('backbone.')}
    torch.save(content, checkpoint)
    with pytest.raises(ValueError, match='epoch_1.pth does not fit the model: 0 of 12 head weights match'):
        run_tool(FACTORS, checkpoint)
    with pytest.raises(ValueError, match='epoch_1.pth does not fit the model: 0 of 12 head weights match'):
        get_features(checkpoint, torch.zeros(1, 3, 64, 64, dtype=torch.uint8))


def test_two_processes_from_another_directory(run_tool, checkpoint, tmp_path):
    alone = run_tool(FACTORS, checkpoint)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    env = {**os.environ, 'PORT': str(port), 'PYTHON': sys.executable}
    command = [ROOT / 'tools/dist_test.sh', FACTORS, checkpoint, 2, '--work-dir', 'two', '--cfg-options', *SMALL]
    subprocess.run(list(map(str, command)), cwd=tmp_path, env=env, check=True, timeout=300)
    both = json.loads((tmp_path / 'two/results.json').read_text())
    assert [record['value'] for record in both] == [record['value'] for record in alone]
