"""Every config builds and takes two steps at toy size, and differs from LooC by what makes its method."""

import copy
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from looc_mm.registry import MODELS, PROTOCOLS, TRANSFORMS

from .regression.configs import differences, leaves, value

ROOT = Path(__file__).parents[1] / 'configs'
LEAVES = list(leaves(ROOT))
PRETRAINING = [name for name in LEAVES if 'model' in Config.fromfile(ROOT / name)]
EVALUATION = [name for name in LEAVES if name not in PRETRAINING]


SUITES = ('r50_in100', 'r18_imagenette', 'factors')
FULL = {f'{method}_{suite}.py' for method in ('looc/looc', 'supervised/supervised') for suite in SUITES}


@pytest.mark.parametrize('name', LEAVES)
def test_a_config_is_a_page_or_a_difference(name):
    lines = (ROOT / name).read_text().splitlines()
    assert len(lines) <= (30 if name in FULL else 15)


def test_no_ten_lines_appear_twice():
    places = defaultdict(set)
    for path in ROOT.rglob('*.py'):
        lines = path.read_text().splitlines()
        for start in range(len(lines) - 9):
            places['\n'.join(lines[start : start + 10])].add(f'{path.relative_to(ROOT)}:{start + 1}')
    assert not [found for found in places.values() if len(found) > 1]


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
    images = torch.randint(0, 256, (4, 5, 3, 40, 40), dtype=torch.uint8)
    data = {'inputs': images[:, 0], 'candidates': images[:, 1:], 'image_size': torch.full((4, 2), 90)}
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


PROTOCOL_OF = {
    'few_shot': 'FewShotProbe',
    'head_preference': 'HeadPreference',
    'invariance': 'InvarianceMatrix',
    'knn': 'KNNProbe',
    'linear_eval': 'LinearProbe',
    'retrieval': 'Retrieval',
    'robustness': 'RobustnessProbe',
    'rotation': 'RotationProbe',
    'space_ablation': 'SpaceAblation',
}


@pytest.mark.parametrize('name', EVALUATION)
def test_a_protocol_differs_from_linear_evaluation_by_itself(name):
    folder, stem = name.removesuffix('.py').split('/')
    augmented = stem.endswith('_augmented')
    dataset = 'in100' if stem == 'imagenet_c' else stem.removesuffix('_augmented')
    config, linear = value(ROOT / name), value(ROOT / f'linear_eval/{dataset}.py')
    protocols = config['test_cfg'].pop('protocols')
    del linear['test_cfg']['protocols']
    if stem == 'imagenet_c':
        assert config.pop('corrupted') == protocols[0]['dataset']
        linear['test_cfg']['dataset'] = 'imagenet-c'
    assert not list(differences(linear, config))
    types = [protocol['type'] for protocol in protocols]
    if name == 'linear_eval/factors.py':
        assert types == ['LinearProbe', 'LinearProbe', 'LinearProbe', 'RotationProbe', 'RegressionProbe']
    else:
        assert types == ['AugmentedLinearProbe' if augmented else PROTOCOL_OF[folder]]


@pytest.mark.parametrize('views', [224, 96, 48])
def test_evaluation_shows_a_model_the_views_size(views):
    cfg = Config.fromfile(ROOT / f'_base_/evaluation/views_{views}.py')
    for loader in (cfg.test_dataloader, cfg.test_cfg.train_dataloader):
        resize, crop = loader.dataset.pipeline[1:3]
        assert crop == dict(type='CenterCrop', crop_size=views)
        assert resize == dict(type='ResizeShortEdge', scale=round(views * 256 / 224))


PIPELINE, AUGMENTATIONS = 'model.data_preprocessor.pipeline', 'model.data_preprocessor.pipeline.augmentations'
LEAVE, STRATEGY = f'{PIPELINE}.leave_one_out', f'{PIPELINE}.strategy'
NEGATIVES, STAGES = 'model.head.same_image_negatives', 'model.last_stage_per_space'
NO_ROTATION, NO_TEXTURE = 'crop flip color blur', 'crop flip rotation color blur'  # LooC's own are without texture
WITH_TEXTURE, TEXTURE_ALONE = 'crop flip rotation texture color blur', 'crop flip texture color blur'
ALL = ['rotation', 'texture', 'color']
REMOVED = object()
SIMCLR = {
    'model.type': 'MultiHeadSimCLR',
    'model.neck.type': 'HeadPerSpaceNeck',
    'model.neck.queue_len': REMOVED,
    'model.momentum': REMOVED,
}
#: By what a method's config differs from LooC's (colour + rotation) of the same suite.
METHODS: dict[str, dict[str, Any]] = {
    'looc/looc_color': {AUGMENTATIONS: NO_ROTATION, LEAVE: ['color']},
    'looc/looc_rotation': {LEAVE: ['rotation']},
    'looc/looc_texture': {AUGMENTATIONS: TEXTURE_ALONE, LEAVE: ['texture']},
    'looc/looc_rotation_texture': {AUGMENTATIONS: WITH_TEXTURE, LEAVE: ['rotation', 'texture']},
    'looc/looc_all': {AUGMENTATIONS: WITH_TEXTURE, LEAVE: ALL},
    'looc/loocpp': {STAGES: True},
    'looc/loocpp_rotation_texture': {AUGMENTATIONS: WITH_TEXTURE, LEAVE: ['rotation', 'texture'], STAGES: True},
    'looc/loocpp_all': {AUGMENTATIONS: WITH_TEXTURE, LEAVE: ALL, STAGES: True},
    'moco/moco': {AUGMENTATIONS: NO_ROTATION, LEAVE: []},
    'moco/moco_rotation': {LEAVE: []},
    'moco/moco_same_rotation': {LEAVE: [], f'{PIPELINE}.same': ['rotation']},
    'moco/moco_all': {AUGMENTATIONS: WITH_TEXTURE, LEAVE: []},
    'moco/moco_add_one_color': {
        AUGMENTATIONS: NO_ROTATION,
        LEAVE: ['color'],
        STRATEGY: 'add_one',
        NEGATIVES: False,
    },
    'moco/moco_add_one_rotation': {LEAVE: ['rotation'], STRATEGY: 'add_one', NEGATIVES: False},
    'moco/multi_head_moco': {STRATEGY: 'independent', NEGATIVES: False},
    'moco/mocopp_all': {
        AUGMENTATIONS: WITH_TEXTURE,
        LEAVE: ALL,
        STRATEGY: 'independent',
        NEGATIVES: False,
        STAGES: True,
    },
    'simclr/looc_simclr': SIMCLR,
    'simclr/simclr_rotation': {**SIMCLR, LEAVE: []},
    'relatives/augself': {'model.type': 'AugSelf', LEAVE: [], 'model.predict': ['crop', 'rotation', 'color']},
    'relatives/cassle': {
        'model.type': 'CASSLE',
        LEAVE: [],
        'model.condition': ['crop', 'rotation', 'color', 'blur'],
    },
    'relatives/essl': {'model.type': 'ESSL', AUGMENTATIONS: NO_ROTATION, LEAVE: []},
}


def changed(config: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of a config with other values at some paths; augmentations are given by their names."""
    config = copy.deepcopy(config)
    for path, new in changes.items():
        *parents, key = path.split('.')
        place = config
        for parent in parents:
            place = place[parent]
        if path == AUGMENTATIONS:
            named = dict(zip(NO_TEXTURE.split(), place[key], strict=True))
            named['texture'] = dict(type='RandomConvTexture', prob=0.5)
            place[key] = [named[name] for name in new.split()]
        elif new is REMOVED:
            place.pop(key, None)
        else:
            place[key] = new
    return config


@pytest.mark.parametrize('suite', SUITES)
@pytest.mark.parametrize('method', METHODS)
def test_a_method_differs_from_looc_by_what_makes_it(method, suite):
    looc = value(ROOT / f'looc/looc_{suite}.py')
    expected = changed(looc, METHODS[method])
    if method == 'relatives/essl' and suite != 'r50_in100':
        expected['model']['small_scale'] = (0.2, 1.0)  # of small pictures
    assert list(differences(looc, expected))
    assert not list(differences(expected, value(ROOT / f'{method}_{suite}.py')))


def test_variants_of_looc_on_in100():
    looc = value(ROOT / 'looc/looc_r50_in100.py')
    canvas = [dict(type='LoadCanvas', size=256), dict(type='PackCanvas')]
    folder = {
        'train_dataloader.batch_size': 64,
        'train_dataloader.num_workers': 4,
        'train_dataloader.dataset': dict(type='ImageFolder', data_root='data/photos', pipeline=canvas),
        'param_scheduler': dict(type='CosineAnnealingLR', convert_to_iter_based=True),
        'train_cfg.max_epochs': 200,
        'model.neck.queue_len': 4096,
    }
    assert not list(differences(changed(looc, folder), value(ROOT / 'looc/looc_r50_folder.py')))
    moco = changed(changed(looc, folder), METHODS['moco/moco'])
    assert not list(differences(moco, value(ROOT / 'moco/moco_r50_folder.py')))
    stylized = dict(
        type='LoadStylized', source='data/imagenet/train', stylized='data/imagenet-stylized/train', styles=4
    )
    expected = changed(looc, {LEAVE: ALL, 'train_dataloader.dataset.pipeline': [canvas[0], stylized, canvas[1]]})
    texture = dict(type='StylizedTexture', styles=4, prob=0.5)
    expected['model']['data_preprocessor']['pipeline']['augmentations'].insert(0, texture)
    assert not list(differences(expected, value(ROOT / 'looc/looc_all_stylized_r50_in100.py')))


def test_the_small_network_on_a_folder():
    expected = value(ROOT / 'looc/looc_r18_imagenette.py')
    crop, *_, blur = expected['model']['data_preprocessor']['pipeline']['augmentations']
    crop['size'], blur['sigma'] = 64, (0.1, 0.6)
    canvas = [dict(type='LoadCanvas', size=88), dict(type='PackCanvas')]
    dataset = dict(type='ImageFolder', data_root='data/photos', pipeline=canvas)
    expected['train_dataloader']['dataset'] = dataset
    assert not list(differences(expected, value(ROOT / 'looc/looc_r18_folder.py')))
    moco = changed(expected, METHODS['moco/moco'])
    assert not list(differences(moco, value(ROOT / 'moco/moco_r18_folder.py')))
    large, small = (value(ROOT / f'linear_eval/{name}.py') for name in ('folder', 'folder_r18'))
    places = {each.split(':')[0].rsplit('.pipeline', 1)[-1] for each in differences(large, small)}
    assert places == {'[1].scale', '[2].crop_size'}


@pytest.mark.parametrize('suite', SUITES)
def test_supervised_shares_looc_s_backbone_and_images(suite):
    looc, supervised = (value(ROOT / f'{method}_{suite}.py') for method in ('looc/looc', 'supervised/supervised'))
    start = {'zero_init_residual': True} if suite == 'r50_in100' else {}
    assert supervised['model']['backbone'] == {**looc['model']['backbone'], **start}
    for key in ('type', 'data_root', 'split', 'data_prefix', 'length', 'size'):
        dataset = supervised['train_dataloader']['dataset']
        assert dataset.get(key) == looc['train_dataloader']['dataset'].get(key)


@pytest.mark.parametrize('name', [name for name in PRETRAINING if 'r50' in name])
def test_residual_branches_of_the_papers_suite_start_as_in_moco(name):
    """MoCo starts the last norm of a residual branch at 1; a network with labels starts it at 0."""
    cfg = Config.fromfile(ROOT / name)
    init_default_scope('looc_mm')
    backbone = MODELS.build({**cfg.model.backbone, 'base_channels': 4, 'stem_channels': 4})
    backbone.init_weights()
    last = [block.norm3.weight for stage in backbone.res_layers for block in getattr(backbone, stage)]
    assert len(last) == 16
    assert all((weight == (0 if name.startswith('supervised') else 1)).all() for weight in last)


def test_every_pretraining_config_is_a_method_of_the_table():
    known = {f'{method}_{suite}.py' for method in METHODS for suite in SUITES} | FULL
    folders = {f'{method}_{network}_folder.py' for method in ('looc/looc', 'moco/moco') for network in ('r18', 'r50')}
    assert set(PRETRAINING) == known | folders | {'looc/looc_all_stylized_r50_in100.py'}


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
