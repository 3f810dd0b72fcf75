"""Plug-ins: a file on the command line, and packages that are found by their entry points."""

import json
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import cv2
import pytest

from looc_mm import cli, plugins
from looc_mm.registry import AUGMENTATIONS, HOOKS, MODELS, PROTOCOLS, REGISTRIES
from looc_mm.testing import check_augmentation
from tests.cli.test_pretraining import FACTORS, run

ROOT = Path(__file__).parents[1]
SOLARIZE = """import torch

from looc_mm.augmentations import AtomicAugmentation
from looc_mm.registry import AUGMENTATIONS


@AUGMENTATIONS.register_module()
class Solarize(AtomicAugmentation):
    name = 'solarize'  # of its space

    def sample(self, batch_size, generator, image_size):  # every random choice is here
        return {'threshold': torch.rand(batch_size, generator=generator)}

    def apply(self, images, params):  # no random choice; (B, 3, H, W) in [0, 1]
        threshold = params['threshold'].to(images.device)[:, None, None, None]
        return torch.where(images < threshold, images, 1 - images)
"""
CONFIG = f"""
_base_ = '{ROOT}/configs/looc/looc_factors.py'
crop, solarize = dict(type='RandomResizedCrop', size=48), dict(type='Solarize')
pipeline = dict(augmentations=[crop, solarize], leave_one_out=['solarize'])
model = dict(data_preprocessor=dict(pipeline=pipeline))
"""


@pytest.fixture
def solarize(tmp_path) -> Path:
    path = tmp_path / 'my_augmentations.py'
    path.write_text(SOLARIZE)
    return path


@pytest.fixture
def config(tmp_path) -> Path:
    path = tmp_path / 'solarize.py'
    path.write_text(CONFIG)
    return path


@pytest.fixture(autouse=True)
def leave_nothing_registered(restored_registries):
    """Each test loads files of the same name."""


@pytest.fixture
def plugin(tmp_path):
    """Write a plug-in that registers an empty class."""

    def write(registry: str, kind: str, force: bool = False) -> Path:
        path = tmp_path / f'plugin_for_{registry.lower()}.py'
        path.write_text(
            f'from looc_mm.registry import {registry}\n\n\n'
            f'@{registry}.register_module(force={force})\nclass {kind}:\n    """Empty."""\n'
        )
        return path

    return write


def test_a_file_keeps_the_contract(solarize):
    plugins.load_files([solarize])
    check_augmentation(AUGMENTATIONS.build(dict(type='Solarize')))


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match='No plug-in at .*nowhere.py'):
        plugins.load_files([tmp_path / 'nowhere.py'])


@pytest.mark.parametrize('registry', REGISTRIES)
def test_a_file_may_register_in_any_registry(registry, plugin):
    plugins.load_files([plugin(registry, 'OfAPlugIn')])
    assert REGISTRIES[registry].get('OfAPlugIn').__module__ == f'plugin_for_{registry.lower()}'


def test_a_file_that_registers_nothing(tmp_path):
    path = tmp_path / 'my_augmentations.py'
    path.write_text('import looc_mm.augmentations, looc_mm.evaluation')
    message = (
        r'my_augmentations.py registers nothing: write @REGISTRY.* one of AUGMENTATIONS, PROTOCOLS, MODELS, .*HOOKS'
    )
    with pytest.raises(ValueError, match=message):
        plugins.load_files([path])
    sys.modules.pop('my_augmentations')


@pytest.mark.parametrize('force', [False, True])
@pytest.mark.parametrize(
    'registry, name, owner',
    [
        ('AUGMENTATIONS', 'ColorJitter', 'looc_mm.augmentations.color'),
        ('PROTOCOLS', 'KNNProbe', 'looc_mm.evaluation.protocols.knn'),
        ('MODELS', 'MultiHeadMoCo', 'looc_mm.models.multi_head_moco'),
        ('MODELS', 'ResNet', 'mmpretrain.models.backbones.resnet'),
        ('DATASETS', 'CIFAR10', 'mmpretrain.datasets.cifar'),
        ('HOOKS', 'LoggerHook', 'mmengine.hooks.logger_hook'),
    ],
)
def test_a_name_of_somebody_else_is_refused(registry, name, owner, force, plugin):
    before = REGISTRIES[registry].get(name)
    path = plugin(registry, name, force)
    message = rf'{path.name} cannot be used: {name} is already registered in .* at {owner}. Rename the class'
    with pytest.raises(ValueError, match=message):
        plugins.load_files([path])
    assert REGISTRIES[registry].get(name) is before and before.__module__ == owner
    assert path.stem not in sys.modules


def test_two_files_of_one_name_for_a_class(plugin, tmp_path):
    first = plugin('MODELS', 'Mine')
    second = tmp_path / 'second.py'
    second.write_text(first.read_text())
    with pytest.raises(
        ValueError, match='second.py cannot be used: Mine is already registered in model at plugin_for_mo'
    ):
        plugins.load_files([first, second])
    assert MODELS.get('Mine').__module__ == 'plugin_for_models'


def test_a_file_that_fails_can_be_repaired_and_loaded(plugin):
    path = plugin('PROTOCOLS', 'Mine')
    text = path.read_text()
    path.write_text(text + 'raise KeyError("my own error")\n')
    with pytest.raises(KeyError, match='my own error'):
        plugins.load_files([path])
    assert PROTOCOLS.get('KNNProbe') and 'Mine' not in PROTOCOLS.module_dict
    path.write_text(text)
    plugins.load_files([path])
    assert 'Mine' in PROTOCOLS.module_dict


def test_a_file_that_leaves_the_process(tmp_path):
    path = tmp_path / 'leaves.py'
    path.write_text('import sys\nsys.exit(0)\n')
    with pytest.raises(ValueError, match=r'leaves.py calls sys.exit\(0\) when it is imported'):
        plugins.load_files([path])


def test_an_unfinished_command_does_not_look_finished(tmp_path, monkeypatch):
    """A plug-in may call sys.exit(0) in the middle of a training."""

    def leaves(config: str) -> None:
        """Leave.

        Args:
            config: any
        """
        sys.exit(0)

    monkeypatch.setitem(cli.COMMANDS, 'train', leaves)
    with pytest.raises(RuntimeError, match=r'called sys.exit\(0\) before the command had finished'):
        cli.main(['train', 'any'])


def test_a_file_named_like_a_module(tmp_path):
    path = tmp_path / 'torch.py'
    path.touch()
    with pytest.raises(ValueError, match="'torch', which is imported already: rename it"):
        plugins.load_files([path])


@pytest.mark.parametrize('group', ['looc_mm.plugins', 'looc_mm.augmentations'])
def test_a_package_is_found_by_its_entry_point(group, plugin, monkeypatch):
    path = plugin('HOOKS', 'OfAPackage')
    monkeypatch.syspath_prepend(path.parent)
    entry = EntryPoint('mine', path.stem, group)
    monkeypatch.setattr(plugins, 'entry_points', lambda group: [entry] if group == entry.group else [])
    plugins.load_entry_points()
    assert HOOKS.get('OfAPackage').__module__ == path.stem


def test_a_broken_package_is_named_and_left_out(monkeypatch):
    broken = EntryPoint('mine', 'no_such_package', 'looc_mm.plugins')
    monkeypatch.setattr(plugins, 'entry_points', lambda group: [broken] if group == broken.group else [])
    with pytest.warns(UserWarning, match='plug-in mine is left out.* importing no_such_package gave ModuleNotFound'):
        plugins.load_entry_points()
    assert AUGMENTATIONS.build(dict(type='HorizontalFlip')).name == 'flip'


def test_a_package_with_a_name_of_somebody_else_is_left_out(plugin, monkeypatch):
    path = plugin('MODELS', 'ResNet')
    monkeypatch.syspath_prepend(path.parent)
    entry = EntryPoint('mine', path.stem, 'looc_mm.plugins')
    monkeypatch.setattr(plugins, 'entry_points', lambda group: [entry] if group == entry.group else [])
    with pytest.warns(
        UserWarning, match='left out.* NameTakenError: ResNet is already registered in MODELS at mmpretrain'
    ):
        plugins.load_entry_points()
    assert MODELS.get('ResNet').__module__ == 'mmpretrain.models.backbones.resnet'
    sys.modules.pop(path.stem)


def test_an_unknown_type_is_told_what_is_known():
    with pytest.raises(KeyError, match=r"Solarise is no registered augmentation. Known: \['ColorJitter', .*--plugin"):
        AUGMENTATIONS.build(dict(type='Solarise'))


def test_show_views(solarize, config, photographs, tmp_path):
    photo = tmp_path / 'photo.jpg'
    cv2.imwrite(str(photo), photographs[0])
    show = [sys.executable, ROOT / 'tools/show_views.py', config, photo, '--out', tmp_path / 'views.png']
    assert 'q, k_0, k_solarize' in run(*show, '--plugin', solarize)
    assert "got 'Solarize', which is no atomic augmentation that is registered" in run(*show, fails=True)


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
