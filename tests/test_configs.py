"""Every config builds and takes two steps at toy size; leaf configs stay short."""

import copy
import difflib
from pathlib import Path

import pytest
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
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


@pytest.mark.parametrize('name', [name for name in PRETRAINING if not name.startswith('supervised')])
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
    if 'queue_len' in cfg.model.neck:
        assert full.neck.queue_len % (cfg.train_dataloader.batch_size * (8 if 'in100' in name else 1)) == 0
        cfg.model.neck.queue_len = 8

    cfg.model.backbone.update(depth=18, stem_channels=8, base_channels=8)
    cfg.model.neck.in_channels = 64
    for augmentation in cfg.model.data_preprocessor.pipeline.augmentations:
        if 'size' in augmentation:
            augmentation.size = 32
    model = MODELS.build(cfg.model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    channels = model.data_preprocessor.pipeline.in_channels
    canvas = torch.randint(0, 256, (4, channels, 40, 40), dtype=torch.uint8)
    data = {'inputs': canvas, 'image_size': torch.full((4, 2), 90)}
    before = model.backbone.conv1.weight.clone()
    for _ in range(2):
        assert model.train_step(data, wrapper)['loss'].isfinite()
    assert not torch.equal(before, model.backbone.conv1.weight)


@pytest.mark.parametrize('name', [name for name in PRETRAINING if name.startswith('supervised')])
def test_supervised_takes_two_steps(name, photographs):
    cfg = Config.fromfile(ROOT / name)
    init_default_scope('looc_mm')
    pipeline = Compose([step for step in cfg.train_dataloader.dataset.pipeline if step['type'] != 'LoadImageFromFile'])
    size = photographs[0].shape[:2]
    samples = [pipeline(dict(img=photographs[0].copy(), img_shape=size, ori_shape=size, gt_label=2)) for _ in range(4)]
    cfg.model.backbone.update(depth=18, stem_channels=8, base_channels=8)
    cfg.model.head.in_channels = 64
    model = MODELS.build(cfg.model)
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    for _ in range(2):
        assert model.train_step(pseudo_collate(samples), wrapper)['loss'].isfinite()


@pytest.mark.parametrize('name', EVALUATION)
def test_evaluation_builds(name):
    cfg = Config.fromfile(ROOT / name)
    init_default_scope('looc_mm')
    for loader in (cfg.test_dataloader, cfg.test_cfg.train_dataloader):
        for step in loader.dataset.pipeline:
            TRANSFORMS.build(step)
    assert [PROTOCOLS.build(protocol) for protocol in cfg.test_cfg.protocols]


ROTATION = "dict(type='RandomRightAngleRotation', prob=0.5),"
TEXTURE = "dict(type='RandomConvTexture', prob=0.5),"
COLOR_ALONE, ROTATION_ALONE, ALL = (
    "leave_one_out=['color'],",
    "leave_one_out=['rotation'],",
    "'rotation', 'texture', 'color'",
)
STAGES, INVARIANT = 'last_stage_per_space=True,', 'same_image_negatives=False'
#: What stands in a method's config and not in LooC's (colour + rotation) of the same dataset, each on its own line,
#: and how many lines of LooC's are not there.
METHODS = {
    'looc/looc_color': ([COLOR_ALONE], 2),
    'looc/looc_rotation': ([ROTATION_ALONE], 1),
    'looc/looc_texture': ([TEXTURE, "leave_one_out=['texture'],"], 2),
    'looc/looc_rotation_texture': ([TEXTURE, "leave_one_out=['rotation', 'texture'],"], 1),
    'looc/looc_all': ([TEXTURE, f'leave_one_out=[{ALL}],'], 1),
    'looc/loocpp': ([STAGES], 0),
    'looc/loocpp_rotation_texture': ([TEXTURE, "leave_one_out=['rotation', 'texture'],", STAGES], 1),
    'looc/loocpp_all': ([TEXTURE, f'leave_one_out=[{ALL}],', STAGES], 1),
    'moco/moco': (['leave_one_out=[],'], 2),
    'moco/moco_rotation': (['leave_one_out=[],'], 1),
    'moco/moco_same_rotation': (['leave_one_out=[],', "same=['rotation'],"], 1),
    'moco/moco_all': ([TEXTURE, 'leave_one_out=[],'], 1),
    'moco/moco_add_one_color': ([COLOR_ALONE, "strategy='add_one',", INVARIANT], 3),
    'moco/moco_add_one_rotation': ([ROTATION_ALONE, "strategy='add_one',", INVARIANT], 2),
    'moco/multi_head_moco': (["strategy='independent',", INVARIANT], 1),
    'moco/mocopp_all': ([TEXTURE, f'leave_one_out=[{ALL}],', "strategy='independent',", INVARIANT, STAGES], 2),
    'simclr/looc_simclr': (["type='MultiHeadSimCLR',", 'HeadPerSpaceNeck'], (2, 3)),  # it has no momentum
    'simclr/simclr_rotation': (["type='MultiHeadSimCLR',", 'leave_one_out=[],', 'HeadPerSpaceNeck'], (3, 4)),
    'relatives/augself': (["type='AugSelf',", 'leave_one_out=[],', "predict=['crop', 'rotation', 'color'],"], 2),
    'relatives/cassle': (["type='CASSLE',", 'leave_one_out=[],'], 2),
    'relatives/essl': (["type='ESSL',", 'leave_one_out=[],'], 3),
}


@pytest.mark.parametrize('suite', ['r50_in100', 'r18_imagenette', 'factors'])
@pytest.mark.parametrize('method', METHODS)
def test_methods_differ_from_looc_in_the_lines_that_make_them(method, suite):
    looc = (ROOT / f'looc/looc_{suite}.py').read_text().splitlines()[1:]  # the first line is the title
    other = (ROOT / f'{method}_{suite}.py').read_text().splitlines()[1:]
    diff = [line for line in difflib.ndiff(looc, other) if line[0] in '+-']
    added = [line for line in diff if line[0] == '+']
    expected, removed = METHODS[method]
    assert len(added) == len(expected) and all(want in got for want, got in zip(expected, added, strict=True)), diff
    assert len(diff) - len(added) in (removed if isinstance(removed, tuple) else (removed,)), diff


def test_every_pretraining_config_is_a_method_of_the_table():
    families = {'looc/looc', 'supervised/supervised', *METHODS}
    suites = ('_r50_in100.py', '_r18_imagenette.py', '_factors.py')
    known = {f'{family}{suite}' for family in families for suite in suites}
    assert set(PRETRAINING) == known | {'looc/looc_r50_folder.py', 'looc/looc_all_stylized_r50_in100.py'}


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
