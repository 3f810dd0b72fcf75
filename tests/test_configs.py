"""Every config builds and takes two steps at toy size; leaf configs stay short."""

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from looc_mm.registry import MODELS, PROTOCOLS, TRANSFORMS

ROOT = Path(__file__).parents[1] / 'configs'
LEAVES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob('*/*.py') if path.parent.name != '_base_')
PRETRAINING = [name for name in LEAVES if 'model' in Config.fromfile(ROOT / name)]
EVALUATION = [name for name in LEAVES if name not in PRETRAINING]


@pytest.mark.parametrize('name', LEAVES)
def test_leaf_configs_are_short_with_one_level_of_base(name):
    text = (ROOT / name).read_text()
    assert len(text.splitlines()) <= 35
    bases = Config.fromfile(ROOT / name).get('_base_', [])
    for base in [bases] if isinstance(bases, str) else bases:
        assert '_base_ =' not in (ROOT / name).parent.joinpath(base).read_text()


@pytest.mark.parametrize('name', PRETRAINING)
def test_pretraining_takes_two_steps(name):
    """As the config has it, but for a narrower network, smaller views and a shorter queue."""
    cfg = Config.fromfile(ROOT / name)
    init_default_scope('looc_mm')
    for step in cfg.train_dataloader.dataset.pipeline:
        TRANSFORMS.build(step)
    full = MODELS.build(copy.deepcopy(cfg.model))
    with torch.no_grad():
        width = full.eval().extract_feat(torch.zeros(1, 3, 32, 32)).shape[1]
    assert width == cfg.model.neck.in_channels * (len(full.spaces) if cfg.model.get('last_stage_per_space') else 1)
    assert full.neck.queue_len % (cfg.train_dataloader.batch_size * (8 if 'in100' in name else 1)) == 0

    cfg.model.backbone.update(depth=18, stem_channels=8, base_channels=8)
    cfg.model.neck.update(in_channels=64, queue_len=8)
    cfg.model.data_preprocessor.pipeline.augmentations[0].size = 32
    model = MODELS.build(cfg.model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    data = {'inputs': torch.randint(0, 256, (4, 3, 40, 40), dtype=torch.uint8), 'image_size': torch.full((4, 2), 90)}
    before = model.backbone.conv1.weight.clone()
    for _ in range(2):
        assert model.train_step(data, wrapper)['loss'].isfinite()
    assert not torch.equal(before, model.backbone.conv1.weight)


@pytest.mark.parametrize('name', EVALUATION)
def test_evaluation_builds(name):
    cfg = Config.fromfile(ROOT / name)
    init_default_scope('looc_mm')
    for loader in (cfg.test_dataloader, cfg.test_cfg.train_dataloader):
        for step in loader.dataset.pipeline:
            TRANSFORMS.build(step)
    assert [PROTOCOLS.build(protocol) for protocol in cfg.test_cfg.protocols]


def test_looc_and_moco_differ_in_few_lines():
    for name in ('r50_in100', 'r18_imagenette', 'factors'):
        looc = (ROOT / f'looc/looc_{name}.py').read_text().splitlines()
        moco = (ROOT / f'moco/moco_rotation_{name}.py').read_text().splitlines()
        differing = [pair for pair in zip(looc, moco, strict=True) if pair[0] != pair[1]]
        assert len(differing) == 2 and 'leave_one_out' in differing[1][0], 'the title and leave_one_out'


def test_the_papers_settings():
    cfg = Config.fromfile(ROOT / 'looc/looc_r50_in100.py')
    assert cfg.train_cfg.max_epochs == 500
    assert cfg.param_scheduler == dict(type='MultiStepLR', milestones=[300, 400], gamma=0.1)
    assert cfg.optim_wrapper.optimizer == dict(type='SGD', lr=0.03, momentum=0.9, weight_decay=1e-4)
    assert cfg.train_dataloader.batch_size * 8 == 256
    init_default_scope('looc_mm')
    model = MODELS.build(cfg.model)
    assert model.spaces == ('invariant', 'rotation', 'color')
    assert model.neck.queue().shape == (3, 128, 16384)
    assert (model.momentum, model.head.temperature) == (0.999, 0.2)
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert trained == pytest.approx(36.9e6, rel=0.002), 'LooC with two augmentations'
