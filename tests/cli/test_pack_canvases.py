"""tools/pack_canvases.py and train.py --canvases as users start them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest
import torch
from mmengine.registry import DefaultScope

from looc_mm.cli import main
from looc_mm.datasets import CanvasShards
from looc_mm.datasets.pack import pack_canvases, verify_canvases
from tests.cli.test_pretraining import ROOT, SMALL, train

TOOL = ROOT / 'tools/pack_canvases.py'
ONE_THREAD = {**os.environ, 'OMP_NUM_THREADS': '1'}


def command(*arguments: str | Path | int) -> list[str]:
    return list(map(str, [sys.executable, TOOL, *arguments]))


@pytest.fixture
def run(capsys):
    """Call the command in this process; returns all that it printed, or the error that it ended with."""

    def call(*arguments: str | Path | int, fails: bool = False) -> str:
        capsys.readouterr()
        with DefaultScope.overwrite_default_scope('looc_mm'):
            try:
                code, error = main(['pack-canvases', *map(str, arguments)]), ''
            except (Exception, SystemExit) as raised:
                code, error = 1, str(raised)
        assert (code != 0) == fails, error
        printed = capsys.readouterr()
        return printed.out + printed.err + error

    return call


def files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(out.iterdir()) if not path.name.startswith('.')}


@pytest.fixture
def pictures(tmp_path, photographs) -> Path:
    """Twenty-four pictures in two folders."""
    folder = tmp_path / 'pictures'
    for index in range(24):
        path = folder / ('a', 'b')[index % 2] / f'{index}.jpg'
        path.parent.mkdir(parents=True, exist_ok=True)
        piece = photographs[index % 2][8 * index : 8 * index + 150, 16 * index : 16 * index + 200]
        cv2.imwrite(str(path), piece[..., ::-1])
    return folder


def test_a_folder_with_a_broken_picture(run, pictures, tmp_path):
    (pictures / 'a/broken.jpg').write_bytes(b'no picture')
    (pictures / 'b/empty.png').write_bytes(b'')
    (pictures / 'b/gone.jpg').symlink_to('nowhere')
    one, two = tmp_path / '1', tmp_path / '2'
    options = ['--with-label', '--size', 64, '--per-shard', 7]
    done = subprocess.run(
        command(pictures, one, *options, '--workers', 2), env=ONE_THREAD, capture_output=True, text=True, timeout=300
    )
    told = done.stdout + done.stderr
    assert done.returncode == 1, told[-3000:]
    assert '4 shards made, 0 were finished before, 24 pictures in all, 3 are broken' in told
    assert f'Broken: {pictures / "a/broken.jpg"}: is not a picture' in told and 'img/s]' in told
    run(pictures, two, *options, '--workers', 0, fails=True)
    assert files(one) == files(two), 'whatever the workers'
    again = run(pictures, one, *options, fails=True)
    assert '0 shards made, 4 were finished before, 24 pictures in all, 3 are broken' in again
    assert 'b/empty.png: is empty' in again and 'b/gone.jpg: There is no file' in again
    (pictures / 'b/empty.png').write_bytes((pictures / 'a/0.jpg').read_bytes())
    repaired = run(pictures, two, *options, '--workers', 0, fails=True)
    assert '1 shards made, 3 were finished before, 25 pictures in all, 2 are broken' in repaired
    dataset = CanvasShards(str(one))
    assert len(dataset) == 24 and dataset.metainfo['classes'] == ('a', 'b')
    assert dataset[0]['inputs'].shape == (3, 64, 64) and dataset[0]['image_size'].tolist() == [150, 200]


def test_a_config_and_its_options(run, tmp_path):
    options = ['train_dataloader.dataset.length=20', 'train_dataloader.dataset.size=48']
    told = run(ROOT / 'configs/looc/looc_factors.py', tmp_path / 'out', '--cfg-options', *options, '--workers', 1)
    assert '1 shards made' in told
    dataset = CanvasShards(str(tmp_path / 'out'))
    assert len(dataset) == 20 and dataset.labels == ('shape', 'color', 'texture')
    assert dataset[0]['inputs'].shape == (3, 64, 64), "the config's canvas, though pictures are smaller"
    assert dataset[0]['image_size'].tolist() == [48, 48]


def test_an_interrupted_run_is_completed(run, tmp_path, photographs):
    folder = tmp_path / 'pictures'
    folder.mkdir()
    jpeg = cv2.imencode('.jpg', photographs[0][..., ::-1])[1].tobytes()
    for index in range(300):
        (folder / f'{index}.jpg').write_bytes(jpeg)
    out, whole = tmp_path / 'out', tmp_path / 'whole'
    chosen = ['--size', 96, '--per-shard', 5, '--workers', 0]
    process = subprocess.Popen(
        command(folder, out, *chosen), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ONE_THREAD
    )
    until = time.monotonic() + 120
    while len(list(out.glob('*.tar'))) < 5 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    begun = {name: content for name, content in files(out).items() if name != 'canvases.json'}
    assert 5 <= len(list(out.glob('*.tar'))) < 60
    with pytest.raises(FileNotFoundError, match='of 60 shards are missing, cut short or damaged'):
        CanvasShards(str(out))
    told = run(folder, out, *chosen)
    made, finished = (int(part.split()[-1]) for part in (told.split(' shards made')[0], told.split(' were')[0]))
    assert finished >= 4 and made + finished == 60
    run(folder, whole, *chosen)
    assert files(out) == files(whole) and begun.items() <= files(whole).items()
    assert len(CanvasShards(str(out))) == 300


def test_other_settings_and_other_pictures_are_refused(run, pictures, tmp_path):
    out = tmp_path / 'out'
    run(pictures, out, '--size', 32, '--workers', 0)
    assert "(then, now): {'quality': (90, 80)}" in run(pictures, out, '--size', 32, '--quality', 80, fails=True)
    (pictures / 'a/0.jpg').rename(pictures / 'a/renamed.jpg')
    assert "(then, now): {'list'" in run(pictures, out, '--size', 32, fails=True)
    assert 'would be packed again' in run(pictures, pictures / 'out', fails=True)
    assert 'quality=0' in run(pictures, tmp_path / 'other', '--quality', 0, fails=True)
    assert 'no train_dataloader' in run(ROOT / 'configs/linear_eval/folder.py', tmp_path / 'other', fails=True)
    stylized = run(ROOT / 'configs/looc/looc_all_stylized_r50_in100.py', tmp_path / 'other', fails=True)
    assert 'has LoadStylized, which reads files beside the originals' in stylized
    assert 'give SOURCE and OUT' in run(pictures, fails=True)
    assert not (tmp_path / 'other').exists()


def test_verify_finds_a_flipped_byte(run, pictures, tmp_path):
    out = tmp_path / 'out'
    run(pictures, out, '--size', 64, '--per-shard', 8, '--workers', 0)
    assert f'{out} is whole' in run('--verify', out)
    before = files(out)
    tar, index = out / '000001.tar', out / '000002.json'
    content = bytearray(tar.read_bytes())
    content[len(content) // 2] ^= 4
    tar.write_bytes(content)
    other = json.loads(index.read_text())
    other['columns']['height'][3] += 1
    index.write_text(json.dumps(other))
    told = run('--verify', out, fails=True)
    assert told.count('Wrong: ') == 2 and f'{tar}: 000001.tar does not have the checksum' in told
    assert (
        f'{index} is damaged: its content differs from its checksum' in told
        and 'Move these files away and start the packing' in told
    )
    tar.unlink()
    index.unlink()
    assert set(verify_canvases(out).values()) == {'000001.tar is missing', '000002.json is missing'}
    assert '2 shards made, 1 were finished' in run(pictures, out, '--size', 64, '--per-shard', 8, '--workers', 0)
    assert files(out) == before


@pytest.mark.slow
def test_training_reads_them(pictures, tmp_path):
    """The originals are gone; the size, the labels' keys and the rest of the config are obeyed."""
    out = tmp_path / 'out'
    pipeline = [dict(type='LoadCanvas', size=80), dict(type='PackCanvas')]
    pack_canvases(dict(type='ImageFolder', data_root=str(pictures), pipeline=pipeline), out, per_shard=10)
    options = [*SMALL, 'train_dataloader.batch_size=4', 'train_cfg.max_epochs=2', 'model.neck.queue_len=8']
    options += ['train_dataloader.dataset.data_root=nowhere']
    config, work = 'looc/looc_r18_imagenette.py', tmp_path / 'work'
    train(config, work, options, '--canvases', out)
    assert torch.load(work / 'epoch_2.pth', weights_only=True)['meta']['iter'] == 12
    ran = next(work.glob('*/vis_data/config.py')).read_text()
    assert "type='CanvasShards'" in ran and "type='ShardSampler'" in ran and 'size=64' in ran

    (out / '000001.tar').write_bytes(b'cut')
    message = train(config, tmp_path / 'other', options, '--canvases', out, fails=True)
    assert '1 of 3 shards are missing, cut short or damaged, first: 000001.tar has 3 of' in message
