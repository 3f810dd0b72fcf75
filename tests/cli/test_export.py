"""tools/export.py as users start it."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision

from ..test_export import NARROW, config, run_onnx, save

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return save(tmp_path_factory.mktemp('looc') / 'epoch_1.pth', config(dict(type='ResNet', depth=18), 512))


@pytest.fixture
def run_tool(monkeypatch):
    """Run the tool in this process."""

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', list(map(str, ['export.py', *arguments])))
        runpy.run_path(str(ROOT / 'tools/export.py'), run_name='__main__')

    return run


def test_a_process_in_another_directory(checkpoint, tmp_path):
    command = [sys.executable, ROOT / 'tools/export.py', checkpoint, 'out/resnet18.pth']
    env = {**os.environ, 'PYTHONPATH': str(ROOT)}
    done = subprocess.run(list(map(str, command)), cwd=tmp_path, env=env, check=True, timeout=300, capture_output=True)
    assert b'V (512) from 32 px RGB' in done.stdout and b'Loads as resnet18 without classifier' in done.stdout
    state = torch.load(tmp_path / 'out/resnet18.pth', weights_only=True)
    assert torchvision.models.resnet18().load_state_dict(state, strict=False).missing_keys == ['fc.weight', 'fc.bias']
    assert json.loads((tmp_path / 'out/resnet18.pth.json').read_text())['view_size'] == 32


def test_formats(run_tool, checkpoint, tmp_path, capsys):
    run_tool(checkpoint, tmp_path / 'a.safetensors', '--format', 'timm')
    assert "timm's twin in torchvision differs by" in capsys.readouterr().out
    run_tool(checkpoint, tmp_path / 'b.safetensors')
    assert 'Loads as ResNet.' in capsys.readouterr().out
    with pytest.raises(ValueError, match='V alone'):
        run_tool(checkpoint, tmp_path / 'c.pth', '--spaces', 'color')
    with pytest.raises(FileNotFoundError, match='none.pth'):
        run_tool(tmp_path / 'none.pth', tmp_path / 'c.pth')
    for arguments, message in [
        (['c.bin'], 'ends with none of .pth .safetensors .onnx'),
        (['c.pth', '--format', 'onnx'], '--format onnx goes to a file that ends with .onnx, got c.pth'),
        (['c.pth', '--format', 'safetensors'], 'ends with .safetensors, got'),
        (['c.onnx', '--format', 'timm'], 'ends with .pth or .safetensors, got'),
    ]:
        with pytest.raises(SystemExit):
            run_tool(checkpoint, *arguments)
        assert message in capsys.readouterr().err


def test_onnx(run_tool, tmp_path, capsys):
    checkpoint = save(tmp_path / 'epoch_1.pth', config(NARROW, 64))
    run_tool(checkpoint, tmp_path / 'model.onnx', '--spaces', 'V', 'all', 'color+rotation', '--size', 40)
    assert 'ONNX Runtime and PyTorch differ by' in capsys.readouterr().out
    outputs, _ = run_onnx(tmp_path / 'model.onnx', torch.rand(3, 3, 40, 40))
    assert {name: tuple(values.shape) for name, values in outputs.items()} == {
        'V': (3, 64),
        'invariant': (3, 8),
        'rotation': (3, 8),
        'color': (3, 8),
        'color+rotation': (3, 16),
    }
