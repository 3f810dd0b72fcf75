"""What the reference files of this folder share: where they were made, and how they are written."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import mmengine
import numpy as np
import torch

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]


def platform() -> dict[str, str]:
    """Everything that rounding depends on. Numbers are equal bit by bit only where all of it is equal."""
    cpuinfo = Path('/proc/cpuinfo')
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    fields = dict(map(str.strip, line.split(':', 1)) for line in reversed(lines) if ':' in line)
    return {
        'device': torch.cuda.get_device_name() if torch.cuda.is_available() else 'cpu',
        'cpu': ', '.join(f'{name} {fields.get(name)}' for name in ('model name', 'cpu family', 'model')),
        'instructions': torch.backends.cpu.get_cpu_capability(),
        'torch': torch.__version__,
        'numpy': np.__version__,
        'opencv': cv2.__version__,
        'mmengine': mmengine.__version__,
    }


def write(path: Path, **content: Any) -> None:
    """Write a reference file: the date, the platform, and the content with one line for each innermost value."""
    path.write_text(_text({'date': date.today().isoformat(), 'platform': platform(), **content}) + '\n')


def read(path: Path) -> tuple[dict[str, Any], bool]:
    """Read a reference file: its content, and whether it was made on a platform like this one."""
    content = json.loads(path.read_text())
    return content, content['platform'] == platform()


def _text(value: Any, indent: str = '\n') -> str:
    inner = indent + '  '
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return '[' + ','.join(inner + json.dumps(each) for each in value) + f'{indent}]'
    if isinstance(value, dict) and any(isinstance(each, dict | list) for each in value.values()):
        rows = (f'{inner}{json.dumps(key)}: {_text(each, inner)}' for key, each in value.items())
        return '{' + ','.join(rows) + f'{indent}}}'
    return json.dumps(value)
