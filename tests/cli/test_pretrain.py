"""looc pretrain as users start it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

import looc_mm
from looc_mm.cli import PretrainedRun, main
from looc_mm.cli import pretrain as command
from looc_mm.pretraining.config import Request
from looc_mm.pretraining.measure import Speed
from looc_mm.registry import DATASETS

ROOT = Path(__file__).parents[2]
make_config, own_canvases = (getattr(sys.modules[command.__module__], name) for name in ('make_config', 'own_canvases'))


@pytest.fixture(scope='module')
def pictures(tmp_path_factory, photographs) -> Path:
    """Forty pictures of 36 x 48 pixels in two folders, and a file that is none."""
    folder = tmp_path_factory.mktemp('data') / 'pictures'
    for index in range(40):
        path = folder / 'ab'[index % 2] / f'{index}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        piece = photographs[index % 2][9 * index : 9 * index + 36, 12 * index : 12 * index + 48]
        cv2.imwrite(str(path), piece[..., ::-1])
    (folder / 'notes.txt').touch()
    return folder


def start(*words: object, cwd: Path) -> subprocess.Popen:
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'CUDA_VISIBLE_DEVICES': '', 'OMP_NUM_THREADS': '1'}
    line = [sys.executable, '-m', 'looc_mm', 'pretrain', *map(str, words)]
    return subprocess.Popen(line, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def looc(*words: object, cwd: Path) -> str:
    process = start(*words, cwd=cwd)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err[-3000:]
    return out


def test_the_package_has_the_function():
    assert looc_mm.pretrain is command
    with pytest.raises(AttributeError, match="module 'looc_mm' has no attribute 'pretrian'"):
        looc_mm.pretrian  # noqa: B018


def test_refusals(pictures, tmp_path, capsys):
    for words, message in [
        (['--minutes', '1', '--epochs', '1'], 'give --minutes or --epochs, not both'),
        (['--network', 'vit'], "invalid choice: 'vit'"),
        (['--network', 'resnet18', '--backbone', 'timm/resnet18'], 'give --network or --backbone, not both'),
        (['--backbone', 'timm/resnet18', '--pretrained', '--weights', 'a'], 'give --pretrained or --weights, not both'),
        (['--weights', 'a'], '--pretrained and --weights need --backbone timm/NAME'),
        (['--backbone', 'timm/resnet18', '--freeze'], '--freeze needs a pretrained backbone'),
    ]:
        with pytest.raises(SystemExit, match='2'):
            main(['pretrain', str(pictures), '--out', str(tmp_path / 'out'), *words])
        assert message in capsys.readouterr().err
    for words, message in [
        (['--minutes', '0'], 'Got minutes=0.0; give a positive number.'),
        (['--epochs', '0'], 'Got epochs=0; give at least 1.'),
        (['--spaces', 'colour'], "No augmentation owns the space 'colour'. Allowed are"),
        (['--size', '8'], 'Got views of 8 px'),
        (['--backbone', 'resnet18'], "Got the backbone 'resnet18'; give timm/NAME"),
        (['--backbone', 'timm/resnet18', '--weights', 'no/file'], "TimmFeatures got pretrained='"),
    ]:
        assert main(['pretrain', str(pictures), '--out', str(tmp_path / 'out'), *words]) == 2
        assert f'looc pretrain: {message}' in capsys.readouterr().err
    assert main(['pretrain', str(tmp_path / 'nowhere'), '--out', str(tmp_path / 'out')]) == 2
    assert 'There is no folder' in capsys.readouterr().err
    assert main(['pretrain', str(pictures), '--out', str(pictures / 'out')]) == 2
    assert 'is in the folder of pictures' in capsys.readouterr().err
    (tmp_path / 'used').mkdir()
    (tmp_path / 'used/epoch_1.pth').touch()
    assert main(['pretrain', str(pictures), '--out', str(tmp_path / 'used')]) == 2
    assert 'has no config.py, but the checkpoint epoch_1.pth of another run' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('ready', [0.01, 0.19])
def test_pictures_that_load_slowly_are_decoded_once(pictures, tmp_path, capsys, monkeypatch, ready):
    speeds = [Speed(step=0.2, ready=ready), Speed(step=0.01, ready=0.01)]
    monkeypatch.setattr('looc_mm.pretraining.measure.measure_speed', lambda cfg, limit: speeds.pop(0))
    text = make_config(Request(str(pictures), epochs=3, size=32), tmp_path, time.perf_counter())
    printed = capsys.readouterr().out
    dataset = Config.fromstring(text, '.py').train_dataloader.dataset
    packed = ready == 0.01
    assert ('Canvases   loading takes 95 % of a step' in printed) == packed
    assert ('Speed      3,200 pictures/s' if packed else 'Speed      160 pictures/s') in printed
    assert dataset.type == ('CanvasShards' if packed else 'ImageFolder')
    with DefaultScope.overwrite_default_scope('looc_mm'):
        built = DATASETS.build(dataset)
    assert len(built) == 40 and built[0]['inputs'].shape == (3, 48, 48)
    assert built[0]['image_size'].tolist() == [36, 48]
    (tmp_path / 'copy/canvases').mkdir(parents=True)
    (tmp_path / 'copy/config.py').write_text(text)
    assert own_canvases(tmp_path / 'copy/config.py') == (str(tmp_path / 'copy/canvases') if packed else None)


@pytest.mark.slow
def test_from_a_folder_to_features(pictures, tmp_path):
    printed = looc(pictures, '--out', 'mine', '--epochs', '2', '--size', '32', cwd=tmp_path)
    for line in (
        f'Pictures   40 in {pictures}: 40 .png',
        'Left out   1 .txt',
        'Sizes      48 x 36 px in the median; shorter sides 36 px (40 pictures looked at)',
        'Method     LooC with the spaces rotation, color',
        'Network    ResNet-18 with a quarter of its channels: there is no GPU',
        'Views      32 x 32 px, from canvases of 48 px: as asked',
        'Batch      32 pictures, queues of 32 keys: there are 40 pictures',
        'Epochs     2 of 1 steps: --epochs 2',
        f'Checkpoint: {tmp_path / "mine/epoch_2.pth"}',
        f'  looc test {tmp_path / "mine"} LABELLED  # ',
    ):
        assert line in printed
    assert torch.load(tmp_path / 'mine/epoch_2.pth', weights_only=True)['meta']['epoch'] == 2
    config = (tmp_path / 'mine/config.py').read_text()
    assert config.startswith('# LooC with the spaces rotation, color on ')

    again = looc(pictures, '--out', 'mine', cwd=tmp_path)
    assert f'The run in {tmp_path / "mine"} is finished' in again and 'Epoch(train)' not in again
    process = start(pictures, '--out', 'mine', '--spaces', 'color', cwd=tmp_path)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and 'spaces: not given then, color now' in err

    run = looc_mm.pretrain(pictures, out=tmp_path / 'mine', epochs=2)
    assert run == PretrainedRun(tmp_path / 'mine', pictures, tmp_path / 'mine/epoch_2.pth')
    both = run.embed(pictures, ['V', 'color'])
    assert both.shape == (40, 128 + 128)
    torch.testing.assert_close(both[:, :128], run.embed(pictures))
    answer = run.evaluate(pictures, sizes=[32])
    assert {'V', 'Z_rotation', 'Z_color'} <= {row.name for row in answer.rows}
    assert (tmp_path / 'mine/answer_pictures/answer.json').exists()
    pytest.importorskip('safetensors')
    about = run.export(tmp_path / 'net.safetensors')
    assert about['view_size'] == 32 and (tmp_path / 'net.safetensors').exists()


@pytest.mark.slow
def test_a_killed_run_is_continued(pictures, tmp_path):
    """Without a checkpoint it begins again with the settings of config.py; with one it continues from it."""
    looc(pictures, '--out', 'first', '--epochs', '1', '--size', '32', cwd=tmp_path)
    text = (tmp_path / 'first/config.py').read_text()
    out = tmp_path / 'second'
    out.mkdir()
    for old, new in [
        (str(tmp_path / 'first'), str(out)),
        ('max_epochs=1)', 'max_epochs=40)'),
        ("['interval'] = 1\n", "['interval'] = 1  # mine\n"),
    ]:
        assert old in text
        text = text.replace(old, new)
    (out / 'config.py').write_text(text)
    process = start(pictures, '--out', 'second', cwd=tmp_path)
    until = time.monotonic() + 120
    while not (out / 'epoch_2.pth').exists() and time.monotonic() < until and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL and (out / 'last_checkpoint').exists()

    printed = looc(pictures, '--out', 'second', cwd=tmp_path)
    assert f'Continuing the run in {out} after epoch_' in printed
    assert 'Pictures' not in printed, 'it measures no more'
    assert torch.load(out / 'epoch_40.pth', weights_only=True)['meta']['epoch'] == 40
    assert (out / 'config.py').read_text() == text, 'the config keeps its comments'
    assert (out / 'config_built.py').exists()


@pytest.mark.slow
@pytest.mark.parametrize('freeze', [False, True], ids=['trained', 'frozen'])
def test_from_pretrained_weights(pictures, tmp_path, capsys, freeze):
    """A folder of weights. The second call finds the run finished."""
    from ..models.test_timm_features import folder_of

    network = folder_of(tmp_path / 'weights', 'resnet10t')
    given = dict(out=tmp_path / 'mine', backbone='timm/resnet10t', weights=tmp_path / 'weights', freeze=freeze)
    looc_mm.pretrain(pictures, epochs=2, size=32, **given)
    printed = capsys.readouterr().out
    assert f'Network    resnet10t of timm, weights in {tmp_path / "weights"}: as asked' in printed
    assert ('Backbone   does not change' if freeze else 'Backbone   0.1 of the learning rate') in printed
    state = torch.load(tmp_path / 'mine/epoch_2.pth', weights_only=True)['state_dict']
    assert torch.equal(state['backbone.timm_model.bn1.bias'], network.bn1.bias) == freeze
    run = looc_mm.pretrain(pictures, **given)
    assert 'is finished' in capsys.readouterr().out
    assert run.embed(pictures).shape == (40, 512)
