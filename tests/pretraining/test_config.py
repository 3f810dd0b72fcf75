"""The config that looc pretrain writes builds, is what was chosen, and is compared with a second call."""

from dataclasses import replace
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope, init_default_scope

from looc_mm.augmentations import AtomicAugmentation
from looc_mm.pretraining.config import Request, check_same, check_spaces, config_text, read_request
from looc_mm.pretraining.settings import Facts, Network, Schedule, choose
from looc_mm.registry import AUGMENTATIONS, MODELS
from tests.regression.configs import differences, value

ROOT = Path(__file__).parents[2]
FACTS = Facts(pictures=9469, short_side=112, gpu=False, bfloat16=False, memory=16, cores=4, minutes=5)


def written(tmp_path, request, facts=FACTS, schedule=None) -> Path:
    text = config_text(
        request, Path('data/imagenette/train'), tmp_path, choose(facts), schedule or Schedule(16, 147), checkpoints=10
    )
    path = tmp_path / 'config.py'
    path.write_text(text)
    assert max(len(line) for line in text.splitlines() if '/' not in line) <= 120
    return path


@pytest.mark.parametrize(
    ('spaces', 'suite'),
    [
        (None, 'looc/looc'),
        (('rotation', 'color'), 'looc/looc'),
        (('color',), 'looc/looc_color'),
        (('rotation', 'texture'), 'looc/looc_rotation_texture'),
        ((), 'moco/moco'),
    ],
)
def test_it_is_the_suite_s_config(tmp_path, spaces, suite):
    """All but the folder, which the suite gives as root and prefix, and the names."""
    found = value(written(tmp_path, Request('data/imagenette', spaces)))
    expected = value(ROOT / f'configs/{suite}_r18_imagenette.py')
    assert found.pop('asked')['pictures'] == 'data/imagenette'
    assert found.pop('work_dir') == str(tmp_path)
    assert found.pop('experiment_name') == f'{"moco" if spaces == () else "looc"}_resnet18-narrow_imagenette'
    del expected['train_dataloader']['dataset']['data_prefix']
    expected['train_dataloader']['dataset']['data_root'] = 'data/imagenette/train'
    expected['train_dataloader']['dataset']['pipeline'][0]['ignore_broken'] = True
    expected['optim_wrapper']['type'] = 'OptimWrapper'
    assert not list(differences(expected, found))


def test_options_arrive(tmp_path):
    facts = Facts(pictures=30_000, short_side=500, gpu=True, bfloat16=True, memory=24, cores=8)
    cfg = Config.fromfile(
        written(tmp_path, Request('p', ('color',), flip=False, seed=7), facts, Schedule(10, 50, 6400))
    )
    pipeline = cfg.model.data_preprocessor.pipeline
    assert [each.type for each in pipeline.augmentations] == ['RandomResizedCrop', 'ColorJitter', 'GaussianBlur']
    assert pipeline.augmentations[-1].sigma == (0.1, 2.0), "MoCo's at 224 px"
    assert cfg.randomness.seed == 7 and cfg.default_hooks.checkpoint.interval == 10
    assert cfg.train_dataloader.sampler == dict(type='PartialEpochs', pictures=6400, shuffle=True)
    assert cfg.optim_wrapper.type == 'AutocastOptimWrapper'
    init_default_scope('looc_mm')
    model = MODELS.build(cfg.model)
    assert model.spaces == ('invariant', 'color') and model.neck.queue_len == cfg.train_dataloader.batch_size == 256


NETWORK = Network(
    'resnet10t',
    'a network',
    dict(type='TimmFeatures', name='resnet10t', pretrained='/w'),
    width=512,
    hidden=512,
    memory=5,
    mean=(0.5, 0.4, 0.3),
    std=(0.2, 0.2, 0.1),
    side=64,
    pretrained=True,
)


def of_network(tmp_path, network, **asked):
    request, settings = Request('p', backbone='timm/resnet10t', **asked), choose(FACTS, network)
    text = config_text(request, Path('p'), tmp_path, settings, Schedule(16, 147), checkpoints=10)
    (tmp_path / 'config.py').write_text(text)
    return Config.fromfile(tmp_path / 'config.py')


def test_a_pretrained_backbone_has_a_lower_rate_after_its_heads(tmp_path):
    cfg = of_network(tmp_path, NETWORK, weights='/w')
    assert cfg.model.backbone == NETWORK.backbone and 'freeze_backbone' not in cfg.model
    assert cfg.model.data_preprocessor.mean == NETWORK.mean and cfg.model.data_preprocessor.std == NETWORK.std
    assert cfg.custom_hooks == [dict(type='HeadsFirst', steps=235)], 'a tenth of 16 * 147'
    assert cfg.experiment_name == 'looc_resnet10t_p' and cfg.asked.weights == '/w'
    cfg.model.backbone.pretrained = False
    with DefaultScope.overwrite_default_scope('looc_mm'):
        model = MODELS.build(cfg.model)
        wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    backbone = set(map(id, model.backbone.parameters()))
    rates = {(id(each) in backbone): group['lr'] for group in wrapper.param_groups for each in group['params']}
    assert rates[True] == pytest.approx(0.1 * rates[False]) and len(rates) == 2


def test_a_frozen_backbone_needs_no_rate_of_its_own(tmp_path):
    cfg = of_network(tmp_path, NETWORK, weights='/w', freeze=True)
    assert cfg.model.freeze_backbone is True
    assert 'custom_hooks' not in cfg and 'paramwise_cfg' not in cfg.optim_wrapper


def test_a_backbone_with_random_weights_is_trained_as_others(tmp_path):
    network = replace(NETWORK, mean=None, std=None, side=None, pretrained=False)
    cfg = of_network(tmp_path, network)
    assert 'custom_hooks' not in cfg and 'paramwise_cfg' not in cfg.optim_wrapper
    assert 'mean' not in cfg.model.data_preprocessor and 'freeze_backbone' not in cfg.model


def test_spaces():
    assert check_spaces(['color', 'texture']) == ('color', 'texture')
    assert check_spaces(['none']) == check_spaces([]) == ()
    with pytest.raises(ValueError, match="owns the space 'crop', 'flop'. Allowed are .*color, .*rotation, .*texture"):
        check_spaces(['crop', 'color', 'flop'])
    with pytest.raises(ValueError, match="owns the space 'none'"):
        check_spaces(['none', 'color'])
    with pytest.raises(ValueError, match='a space twice: color, color'):
        check_spaces(['color', 'color'])
    with pytest.raises(ValueError, match=r"give a list, \['color'\]"):
        check_spaces('color')


def test_an_augmentation_of_a_plugin_is_a_space(tmp_path, restored_registries):
    @AUGMENTATIONS.register_module()
    class Invert(AtomicAugmentation):
        name = 'negative'

        def sample(self, batch_size, generator, image_size):
            return {}

        def apply(self, images, params):
            return 1 - images

    assert check_spaces(['negative']) == ('negative',)
    pipeline = Config.fromfile(written(tmp_path, Request('p', ('negative',)))).model.data_preprocessor.pipeline
    assert [each.type for each in pipeline.augmentations][2:4] == ['Invert', 'ColorJitter']
    assert pipeline.leave_one_out == ['negative']


def test_a_second_call_agrees_or_is_refused(tmp_path):
    first = Request('/p', ('color',), minutes=5.0, flip=False)
    path = written(tmp_path, first)
    assert read_request(path).given() == {'pictures': '/p', 'spaces': ('color',), 'minutes': 5.0, 'flip': False}
    for same in (first, Request('/p'), Request('/p', minutes=5)):
        assert check_same(same, path).minutes == 5
    for other, message in [
        (Request('/q'), 'pictures: /p then, /q now'),
        (Request('/p', ('rotation',)), 'spaces: color then, rotation now'),
        (Request('/p', epochs=3), 'epochs: not given then, 3 now'),
        (Request('/p', minutes=6, seed=1), 'minutes: 5 then, 6 now; seed: not given then, 1 now'),
    ]:
        with pytest.raises(ValueError, match=f'{message}.*give another --out'):
            check_same(other, path)


def test_a_config_of_somebody_else_is_refused(tmp_path):
    (tmp_path / 'config.py').write_text('model = dict()\n')
    with pytest.raises(ValueError, match='is not a config of "looc pretrain"'):
        read_request(tmp_path / 'config.py')
