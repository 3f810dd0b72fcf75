"""Plug-ins: the README's own example as a file on the command line, and packages that are found by themselves."""

import json
import re
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import cv2
import pytest

from looc_mm import plugins
from looc_mm.registry import AUGMENTATIONS
from looc_mm.testing import check_augmentation
from tests.cli.test_pretraining import FACTORS, run

ROOT = Path(__file__).parents[1]
CONFIG = f"""
_base_ = '{ROOT}/configs/looc/looc_factors.py'
crop, solarize = dict(type='RandomResizedCrop', size=48), dict(type='Solarize')
pipeline = dict(augmentations=[crop, solarize], leave_one_out=['solarize'])
model = dict(data_preprocessor=dict(pipeline=pipeline))
"""


@pytest.fixture
def solarize(tmp_path) -> Path:
    """The file that the README shows."""
    code = re.search(r'```python\n(# my_augmentations\.py\n.*?)```', (ROOT / 'README.md').read_text(), re.DOTALL)
    path = tmp_path / 'my_augmentations.py'
    path.write_text(code[1])
    return path


@pytest.fixture
def config(tmp_path) -> Path:
    path = tmp_path / 'solarize.py'
    path.write_text(CONFIG)
    return path


@pytest.fixture(autouse=True)
def leave_nothing_registered(monkeypatch):
    AUGMENTATIONS.import_from_location()
    monkeypatch.setattr(AUGMENTATIONS, '_module_dict', dict(AUGMENTATIONS.module_dict))
    yield
    sys.modules.pop('my_augmentations', None)


def test_the_readmes_example_keeps_the_contract(solarize):
    plugins.load_files([solarize])
    check_augmentation(AUGMENTATIONS.build(dict(type='Solarize')))


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='No plug-in at .*nowhere.py'):
        plugins.load_files([tmp_path / 'nowhere.py'])


def test_a_file_that_registers_nothing(tmp_path):
    path = tmp_path / 'my_augmentations.py'
    path.write_text('import looc_mm.augmentations')
    with pytest.raises(ValueError, match=r'my_augmentations.py registers no augmentation: write @AUGMENTATIONS'):
        plugins.load_files([path])


def test_a_file_named_like_a_module(tmp_path):
    path = tmp_path / 'torch.py'
    path.touch()
    with pytest.raises(ValueError, match="'torch', which is imported already: rename it"):
        plugins.load_files([path])


def test_a_broken_package_is_named_and_left_out(monkeypatch):
    broken = EntryPoint('mine', 'no_such_package', plugins.GROUP)
    monkeypatch.setattr(plugins, 'entry_points', lambda group: [broken])
    with pytest.warns(UserWarning, match='plug-in mine is left out.* importing no_such_package gave ModuleNotFound'):
        plugins.load_entry_points()
    assert AUGMENTATIONS.build(dict(type='HorizontalFlip')).name == 'flip'


def test_an_unknown_type_is_told_what_is_known():
    with pytest.raises(KeyError, match=r"Solarise is no registered augmentation. Known: \['ColorJitter', .*--plugin"):
        AUGMENTATIONS.build(dict(type='Solarise'))


def test_show_views(solarize, config, photographs, tmp_path):
    photo = tmp_path / 'photo.jpg'
    cv2.imwrite(str(photo), photographs[0])
    show = [sys.executable, ROOT / 'tools/show_views.py', config, photo, '--out', tmp_path / 'views.png']
    assert 'q, k_0, k_solarize' in run(*show, '--plugin', solarize)
    assert 'Solarize is no registered augmentation' in run(*show, fails=True)


@pytest.mark.slow
def test_two_processes_train_and_evaluate(solarize, config, tmp_path):
    """Registered and named in the list: a head, a queue, logged figures and a representation to evaluate."""
    plugin = ['--plugin', solarize, '--work-dir', tmp_path / 'work', '--cfg-options']
    run(ROOT / 'tools/dist_train.sh', config, '2', *plugin, *FACTORS)
    log = next((tmp_path / 'work').glob('*/vis_data/scalars.json')).read_text().splitlines()
    assert {'loss_solarize', 'top1_solarize', 'pos_solarize', 'k_0_solarize', 'P_solarize'} <= set(json.loads(log[-1]))

    small = ['test_dataloader.dataset.length=64', 'test_cfg.train_dataloader.dataset.length=64']
    evaluation = [ROOT / 'configs/linear_eval/factors.py', tmp_path / 'work/epoch_2.pth', '--spaces', 'solarize']
    run(sys.executable, ROOT / 'tools/test.py', *evaluation, *plugin, *small)
    records = json.loads((tmp_path / 'work/results.json').read_text())
    assert all('solarize' in record['representation'] for record in records)
