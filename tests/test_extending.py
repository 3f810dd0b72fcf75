"""docs/extending.md: its files are written to a folder and used through the tools, as a reader would."""

import json
import re
import runpy
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import init_default_scope

from looc_mm.datasets import Part
from looc_mm.evaluation import Features
from looc_mm.registry import AUGMENTATIONS, DATASETS, MODELS, PROTOCOLS
from looc_mm.testing import check_augmentation

ROOT = Path(__file__).parents[1]
FILES = dict(
    re.findall(r'```python\n# (\S+\.py)\n(.*?)```', (ROOT / 'docs/extending.md').read_text(), re.DOTALL | re.MULTILINE)
)
CODE = ['gamma_jitter.py', 'class_mean.py', 'pets.py', 'uniform_looc.py', 'plain_net.py']
CONFIGS = [f'configs/mine/{name}.py' for name in ('looc_gamma', 'pets', 'uniform_looc', 'looc_plain_net')]
TWO_STEPS = [
    'train_dataloader.dataset.length=16',
    'train_dataloader.batch_size=8',
    'train_dataloader.num_workers=0',
    'train_dataloader.persistent_workers=False',
    'model.neck.queue_len=16',
    'train_cfg.max_epochs=1',
]
SMALL = [
    'test_dataloader.dataset.length=48',
    'test_cfg.train_dataloader.dataset.length=64',
    'test_dataloader.num_workers=0',
    'test_cfg.train_dataloader.num_workers=0',
]
FACTORS = ROOT / 'configs/linear_eval/factors.py'


@pytest.fixture
def folder(tmp_path) -> Path:
    """A copy of configs/, and the files of the page."""
    shutil.copytree(ROOT / 'configs', tmp_path / 'configs')
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def tool(folder, monkeypatch, restored_registries):
    """Run a tool in this process; what it loads stays loaded until the end of the test."""

    def start(name: str, *arguments: str | Path) -> None:
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        runpy.run_path(str(ROOT / f'tools/{name}'), run_name='__main__')

    return start


@pytest.fixture
def train(tool, folder):
    """Two steps; returns what was logged last."""

    def start(config: str, plugin: str) -> dict:
        options = ['--plugin', folder / plugin, '--work-dir', folder / 'work', '--cfg-options', *TWO_STEPS]
        tool('train.py', folder / config, *options)
        log = next((folder / 'work').glob('*/vis_data/scalars.json')).read_text().splitlines()
        return json.loads(log[-1])

    return start


@pytest.fixture
def evaluate(tool, folder):
    """Returns the records on Factors."""

    def start(model: Path, *options: str | Path) -> list[dict]:
        tool(
            'test.py',
            FACTORS,
            model,
            '--cache',
            'none',
            '--work-dir',
            folder / 'out',
            *options,
            '--cfg-options',
            *SMALL,
        )
        return json.loads((folder / 'out/results.json').read_text())

    return start


def test_the_page_has_a_file_of_each_kind_and_none_is_long():
    assert sorted(FILES) == sorted(CODE + CONFIGS)
    assert max(len(FILES[name].splitlines()) for name in CODE) <= 40
    assert max(len(FILES[name].splitlines()) for name in CONFIGS) <= 6


def test_augmentation(train):
    logged = train('configs/mine/looc_gamma.py', 'gamma_jitter.py')
    assert {'loss_rotation', 'loss_gamma', 'top1_gamma', 'pos_gamma', 'P_gamma'} <= set(logged)
    jitter = AUGMENTATIONS.build(dict(type='GammaJitter'))
    check_augmentation(jitter)
    images = torch.tensor([0.0, 0.25, 1.0]).expand(1, 3, 1, 3)
    powered = jitter.apply(images, {'gamma': torch.tensor([0.5])})
    assert torch.allclose(powered, torch.tensor([0.0, 0.5, 1.0]).expand(1, 3, 1, 3))


def test_protocol(evaluate, folder):
    model = ROOT / 'configs/looc/looc_factors.py'
    records = evaluate(model, '--plugin', folder / 'class_mean.py', '--protocols', 'class_mean')
    found = [(record['protocol'], record['factor'], record['metric']) for record in records]
    assert found == [
        ('class_mean', factor, metric)
        for factor, metrics in (('shape', ('top1', 'top5')), ('color', ('top1', 'top5')), ('texture', ('top1',)))
        for metric in metrics
    ]
    again = evaluate(model, '--protocols', 'ClassMean')
    assert [record['value'] for record in again] == [record['value'] for record in records]

    train = Features(torch.tensor([[2.0, 0.0], [0.0, 1.0], [0.0, 3.0]]), {'kind': torch.tensor([0, 1, 1])})
    test = Features(
        torch.tensor([[5.0, 4.0], [1.0, 2.0], [1.0, 0.0], [0.0, 1.0]]), {'kind': torch.tensor([0, 1, 1, 1])}
    )
    (score,) = PROTOCOLS.build(dict(type='ClassMean')).evaluate(train, test, 'kind')
    assert (score.metric, score.value) == ('top1', 75), 'the third is nearest to class 0'


@pytest.fixture
def pets(folder) -> Path:
    """Two training images and one test image of each of the 37 classes."""
    root = folder / 'data/pets'
    (root / 'images').mkdir(parents=True)
    (root / 'annotations').mkdir()
    for split, number in (('trainval', 2), ('test', 1)):
        names = [(f'{split}_{label}_{row}', label) for label in range(1, 38) for row in range(number)]
        (root / f'annotations/{split}.txt').write_text(''.join(f'{name} {label} 1 1\n' for name, label in names))
        for name, label in names:
            cv2.imwrite(str(root / f'images/{name}.jpg'), np.full((30, 40, 3), 6 * label, np.uint8))
    return root


def test_dataset(tool, folder, pets, monkeypatch, capsys):
    with pytest.raises(SystemExit, match='1'):
        tool('check_dataset.py', 'pets', pets, '--plugin', folder / 'pets.py')
    printed = capsys.readouterr()
    assert '74 images of 3,680       37 classes of 37' in printed.out
    assert 'Wrong: trainval: 74 images, published are 3,680\nWrong: test: 37 images, published' in printed.err
    monkeypatch.setattr(DATASETS.get('Pets'), 'published', {'trainval': Part(74, 37), 'test': Part(37, 37)})
    tool('check_dataset.py', 'Pets', pets)  # status 0: it raises no SystemExit
    assert 'is whole' in capsys.readouterr().out

    monkeypatch.chdir(folder)
    init_default_scope('looc_mm')
    cfg = Config.fromfile('configs/mine/pets.py')
    sets = [DATASETS.build(each.dataset) for each in (cfg.test_cfg.train_dataloader, cfg.test_dataloader)]
    assert [len(each) for each in sets] == [74, 37]
    sample = sets[1][36]
    assert sample['inputs'].shape == (3, 224, 224) and sample['labels'] == {'gt_label': 36}
    assert (sample['inputs'].float() - 6 * 37).abs().max() < 3
    (pets / 'images/test_1_0.jpg').unlink()
    with pytest.raises(FileNotFoundError, match='Pets: 1 of 37 listed images are missing'):
        DATASETS.build(cfg.test_dataloader.dataset)


def test_method(train, folder):
    assert -8 <= train('configs/mine/uniform_looc.py', 'uniform_looc.py')['uniformity'] <= 0
    model = MODELS.build(Config.fromfile(folder / 'configs/mine/uniform_looc.py').model)
    shapes = (3, 64, 128), (3, 3, 64, 128)
    q, k = (F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(0)), dim=-1) for shape in shapes)
    losses = model.contrast(q, k)
    means = []
    for space in q:
        pairs = [torch.exp(-2 * (space[i] - space[j]).square().sum()) for i in range(64) for j in range(i)]
        means.append(torch.stack(pairs).mean().log())
    assert torch.allclose(losses['uniformity'], torch.stack(means).mean())
    plain = torch.stack([losses[f'loss_{space}'] for space in model.spaces]).mean()
    assert torch.allclose(losses['loss'], plain + 0.1 * losses['uniformity'])


def test_backbone(train, evaluate, folder):
    train('configs/mine/looc_plain_net.py', 'plain_net.py')
    assert MODELS.build(dict(type='PlainNet', width=4))(torch.zeros(2, 3, 48, 48)).shape == (2, 32, 3, 3)
    checkpoint = folder / 'work/epoch_1.pth'
    assert {record['protocol'] for record in evaluate(checkpoint, '--protocols', 'knn')} == {'knn'}
    del MODELS.module_dict['PlainNet']
    with pytest.raises(ValueError, match="type 'PlainNet' is neither .* pass --plugin FILE.py"):
        evaluate(checkpoint, '--protocols', 'knn')
