"""tools/extract.py as users start it."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from looc_mm.export import get_features

from ..test_export import NARROW, config, save

ROOT = Path(__file__).parents[2]
PATHS = ['a.png', 'b/c/1.png', 'b/c/2.png']


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return save(tmp_path_factory.mktemp('looc') / 'epoch_1.pth', config(NARROW, 64))


@pytest.fixture
def folder(tmp_path, photographs):
    for index, path in enumerate(PATHS):
        file = tmp_path / 'pictures' / path
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), photographs[0][: 100 + 50 * index, :120, ::-1])
    return tmp_path / 'pictures'


@pytest.fixture
def run_tool(monkeypatch):
    """Run the tool in this process."""

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', list(map(str, ['extract.py', *arguments, '--workers', 0, '--device', 'cpu'])))
        runpy.run_path(str(ROOT / 'tools/extract.py'), run_name='__main__')

    return run


def test_a_process_in_another_directory(checkpoint, folder, tmp_path):
    command = [sys.executable, ROOT / 'tools/extract.py', checkpoint, 'pictures', 'out/features.npz', '--workers', 1]
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    done = subprocess.run(list(map(str, command)), cwd=tmp_path, env=env, check=True, timeout=300, capture_output=True)
    assert b'3 images, V (64): out/features.npz' in done.stdout
    arrays = np.load(tmp_path / 'out/features.npz')
    assert arrays.files == ['path', 'V'] and arrays['path'].tolist() == PATHS
    np.testing.assert_allclose(arrays['V'], get_features(checkpoint, folder, device='cpu'), rtol=1e-5, atol=1e-6)


def test_every_space_and_chosen_ones(run_tool, checkpoint, folder, tmp_path, capsys):
    import pyarrow.parquet

    run_tool(checkpoint, folder, tmp_path / 'all.npz', '--spaces', 'V', 'all', 'color+rotation', '--size', 40)
    assert 'V (64), invariant (8), rotation (8), color (8), color+rotation (16)' in capsys.readouterr().out
    arrays = np.load(tmp_path / 'all.npz')
    for space in ('invariant', 'rotation', 'color', 'color+rotation'):
        assert np.array_equal(arrays[space], get_features(checkpoint, folder, space, device='cpu', size=40))
    assert np.array_equal(arrays['color+rotation'], np.concatenate([arrays['color'], arrays['rotation']], 1))
    run_tool(checkpoint, folder, tmp_path / 'two.parquet', '--spaces', 'color', 'V', '--size', 40, '--amp')
    table = pyarrow.parquet.read_table(tmp_path / 'two.parquet')
    assert table.column_names == ['path', 'color', 'V'] and table['path'].to_pylist() == PATHS
    np.testing.assert_allclose(np.array(table['color'].to_pylist()), arrays['color'], atol=0.1)


def test_what_goes_wrong(run_tool, checkpoint, folder, tmp_path):
    out = tmp_path / 'features.npz'
    with pytest.raises(ValueError, match=r'\*.npz or \*.parquet, got .*features.csv'):
        run_tool(checkpoint, folder, tmp_path / 'features.csv')
    with pytest.raises(ValueError, match=r"\['texture'\].*\['invariant', 'rotation', 'color'\]"):
        run_tool(checkpoint, folder, out, '--spaces', 'texture')
    with pytest.raises(FileNotFoundError, match='plugin.py'):
        run_tool(checkpoint, folder, out, '--plugin', 'plugin.py')
    (folder / 'b/broken.jpg').write_bytes(b'')
    with pytest.raises(ValueError, match=r'b/broken.jpg.*0 bytes'):
        run_tool(checkpoint, folder, out)
    assert not out.exists()
