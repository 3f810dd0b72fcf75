"""What ``looc train`` prints, as users start it."""

import re
import subprocess
import sys

TINY = [
    'train_cfg.max_epochs=2',
    'train_dataloader.batch_size=16',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'train_dataloader.dataset.length=48',
    'model.backbone.base_channels=8',
    'model.neck.in_channels=64',
    'model.neck.queue_len=32',
]


def test_few_lines_at_the_start_and_one_for_each_epoch(tmp_path):
    command = [sys.executable, '-m', 'looc_mm', 'train', 'looc_factors', '--work-dir', tmp_path, '--cfg-options', *TINY]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    assert run.returncode == 0, run.stdout
    lines = run.stdout.splitlines()
    epochs = [index for index, line in enumerate(lines) if re.search(r'^[\d:]{8} epoch \d/2  step', line)]
    assert len(epochs) == 2 and len(lines) <= 30, run.stdout
    assert max(len(line) for line in lines[: epochs[0]] if line.startswith('  ')) <= 120
    start = '\n'.join(lines[: epochs[0]])
    assert start.count('\n') <= 22
    for setting in ('LooCLoss', 'invariant, rotation, color', 'ResNet-18', '48 (Factors)', 'AdamW', str(tmp_path)):
        assert setting in start
    for noise in ('Exp name', 'DeprecationWarning', 'FutureWarning', 'deprecated', 'mmengine', 'after_train_iter'):
        assert noise not in run.stdout
    line = (
        r'step 6/6  0 s left  [\d.]+ images/s  loss \d.*chance 0.5.*'
        + r'rotation \d\.\d\d \d\.\d\d -?\d\.\d\d (learning|not yet)'
    )
    assert re.search(line, lines[epochs[1]])
    assert (tmp_path / 'curves.png').exists() and len((tmp_path / 'curves.csv').read_text().splitlines()) == 3
    (whole,) = tmp_path.glob('*/*.log')
    assert 'System environment' in whole.read_text()
