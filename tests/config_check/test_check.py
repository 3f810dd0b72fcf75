"""Wrong configs, of which the error has the key and what is allowed; right ones pass."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import Registry
from torch import nn

from looc_mm.config_check.check import check_config
from looc_mm.config_check.components import takes
from looc_mm.config_check.hints import fits
from looc_mm.config_check.options import Options, merge_options
from looc_mm.config_check.problem import ConfigError
from looc_mm.registry import MODELS

from ..regression.configs import leaves

ROOT = Path(__file__).parents[2] / 'configs'
FACTORS, FOLDER = 'looc/looc_factors', 'looc/looc_r50_folder'
SUPERVISED, LINEAR = 'supervised/supervised_factors', 'linear_eval/factors'
CROP = 'model.data_preprocessor.pipeline.augmentations.0'


def checked(name: str, *words: str, text: str = '', folder: Path | None = None) -> Config:
    """A config with words of the command line and text at its end, after the check."""
    path = ROOT / f'{name}.py'
    if text and folder:
        (folder / 'own.py').write_text(f"_base_ = '{path}'\n{text}\n")
        path = folder / 'own.py'
    config, options = Config.fromfile(path), Options()
    for word in words:
        options.add(word)
    merge_options(config, options)
    check_config(config, options)
    return config


@pytest.mark.parametrize('name', leaves(ROOT))
def test_every_config_passes(name):
    check_config(Config.fromfile(ROOT / name))


@pytest.mark.parametrize(
    ('name', 'word', 'message'),
    [
        (FACTORS, 'optimizer.lr=100', 'optimizer.lr: .*Did you mean optim_wrapper.optimizer.lr?'),
        (FACTORS, 'train_dataloder.batch_size=4', 'train_dataloder.batch_size: .*mean train_dataloader.batch_size?'),
        (FACTORS, 'max_epochs=50', 'max_epochs: .*Did you mean train_cfg.max_epochs?'),
        (FACTORS, 'train_dataloader.num_workers=1,5x', 'train_dataloader.num_workers: got .*; allowed: int'),
        (FACTORS, 'train_pipeline=x', 'train_pipeline: is set on the command line, and nothing reads'),
        (FACTORS, 'model.nekc.in_channels=4', "model.nekc: .*no argument 'nekc'. Did you mean neck?"),
        (FACTORS, 'train_cfg.max_epoch=5', 'train_cfg.max_epoch: .*Did you mean max_epochs?'),
        (FACTORS, 'model.head.mask_false_negatives=no', 'mask_false_negatives: got .no.; allowed: True or False'),
        (FACTORS, 'model.head.mask_false_negatives=1', 'mask_false_negatives: got 1; allowed: True or False'),
        (FACTORS, 'model.data_preprocessor.mean=[123,116,103]', 'preprocessor.mean: .* up to 1, .*divide by 255'),
        (FACTORS, 'model.data_preprocessor.std=[0,1,1]', 'preprocessor.std: .*three numbers above 0'),
        (SUPERVISED, 'model.data_preprocessor.std=[0,57,57]', 'preprocessor.std: .*allowed: three numbers above 0'),
        (SUPERVISED, 'model.data_preprocessor.mean=[0.4,0.4,0.4]', r'preprocessor.mean: .*\[102.0, 102.0, 102.0\]'),
        (FACTORS, 'optim_wrapper.clip_grad.max_norm=0', 'clip_grad.max_norm: got 0; allowed: more than 0'),
        (FACTORS, 'optim_wrapper.clip_grad.norm=1', 'clip_grad.norm: is unknown'),
        (FACTORS, 'default_hooks.checkpoint.interval=0', 'checkpoint.interval: got 0; allowed: 1 or more, or -1'),
        (FACTORS, 'optim_wrapper.optimizer.lr=nan', 'optimizer.lr: got nan; allowed: a finite number'),
        (FACTORS, f'{CROP}.size=1', f'{CROP}.size: got 1; allowed: 8 pixels or more'),
        (FACTORS, 'train_dataloader.dataset.pipeline.0.size=32', 'pipeline.0.size: got 32, a canvas .*allowed: 48'),
        (FACTORS, 'model.backbone.norm_cfg.type=GN', 'model.backbone.norm_cfg.num_groups: is missing: GroupNorm'),
        (FACTORS, 'model.backbone.type=', 'model.backbone.type: got .., which is empty. Allowed: .*MultiHeadMoCo'),
        (FACTORS, 'model.backbone.type=ResNte', 'model.backbone.type: .*Did you mean ResNet?'),
        (FACTORS, 'model.backbone.depth=19', 'model.backbone.depth: .*one of 18, 34, 50'),
        (FACTORS, 'model.backbone.in_channels=1', 'model.backbone.in_channels: got 1; allowed: 3'),
        (FACTORS, 'model.neck.in_channels=64', 'model.neck.in_channels: got 64; allowed: 128'),
        (SUPERVISED, 'model.head.in_channels=64', 'model.head.in_channels: got 64; allowed: 128'),
        (FACTORS, 'model.neck=QueuePerHeadNeck', 'model.neck: got .QueuePerHeadNeck.; allowed: dict'),
        (FACTORS, f'{CROP[:-1]}9.size=9', 'augmentations.9.size: got the index .9.; allowed: 0 to 4'),
        (FACTORS, 'model.momentum.value=1', 'model.momentum.value: .*Allowed: model.momentum=VALUE'),
        (FACTORS, 'train_dataloader.dataset.data_root=x', 'dataset.data_root: is unknown: Factors'),
        (
            FACTORS,
            'train_dataloader.dataset.pipeline.1.label_keys=[shapes]',
            'label_keys: .*allowed: angle, color, gt_label',
        ),
        (FACTORS, 'env_cfg.mp_cfg.mp_start_method=threads', 'mp_start_method: got .threads.; allowed here: .*spawn'),
        (LINEAR, 'test_cfg.protocols=[dict(type=KNNProbe)]', 'test_cfg.protocols: .*--protocols'),
        (LINEAR, 'test_cfg.protocols.0.sovler=sgd', "protocols.0.sovler: .*unknown options .'sovler'"),
    ],
)
def test_a_wrong_word(name, word, message):
    with pytest.raises(ConfigError, match=message.replace('?', r'\?')):
        checked(name, word)


def test_all_at_once():
    with pytest.raises(ConfigError) as caught:
        checked(FACTORS, 'max_epochs=50', 'model.head.temprature=1', 'optim_wrapper.optimizer.lr=0', 'model.momentum=2')
    found = [problem.path for problem in caught.value.problems]
    assert sorted(found) == [
        'max_epochs',
        'model.head.temprature',
        'optim_wrapper.optimizer.lr',
    ], 'and of the model, which is not built with a wrong head, momentum follows when the head is right'
    assert 'The config has 3 mistakes' in str(caught.value)
    with pytest.raises(ConfigError, match=r'model.momentum: MultiHeadMoCo got momentum=2; it must be in \[0, 1\]'):
        checked(FACTORS, 'model.momentum=2')


@pytest.mark.parametrize(
    'words',
    [
        ['model.compile=True'],
        ['optim_wrapper.accumulative_counts=4', 'optim_wrapper.clip_grad.max_norm=1'],
        ['randomness.deterministic=True', 'randomness.seed=None'],
        ['model.backbone.norm_cfg.type=GN', 'model.backbone.norm_cfg.num_groups=4'],
        ['param_scheduler=[]', 'load_from=None', 'resume=False'],
        [f'{CROP}.owns_space=True', f'{CROP}.name=box'],
        ['default_hooks.logger.priority=LOW', 'compile=True', 'model_wrapper_cfg.find_unused_parameters=True'],
    ],
)
def test_additions_are_right(words):
    checked(FACTORS, *words)


def test_own_variables_of_a_file(tmp_path):
    kept = checked(
        FACTORS,
        text="note = 'mine'\n_max_epochs = 3\nlr = 0.5\noptim_wrapper = dict(optimizer=dict(lr=lr))",
        folder=tmp_path,
    )
    assert kept.note == 'mine' and kept.optim_wrapper.optimizer.lr == 0.5


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (
            'train_dataloder = dict(batch_size=4)',
            'train_dataloder: .*Did you mean train_dataloader?.*: _train_dataloder',
        ),
        (
            'max_epochs = 50',
            'max_epochs: is set in the config, and nothing reads it. Did you mean train_cfg.max_epochs?',
        ),
        ('optimizer = dict(lr=100)', 'optimizer: .*Did you mean optim_wrapper.optimizer?'),
        (
            "custom_hooks = [dict(type='Monitor', config='linear_eval/factors', intervall=2)]",
            'custom_hooks.0.intervall',
        ),
        ("resume = 'yes'", 'resume: got .yes.; allowed: True or False'),
        (
            'train_dataloader = dict(sampler=dict(_delete_=True, shuffle=True))',
            'sampler.type: is missing. Allowed: Def',
        ),
    ],
)
def test_a_wrong_line_of_a_file(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message.replace('?', r'\?')):
        checked(FACTORS, text=text, folder=tmp_path)


@pytest.mark.parametrize('words', [(), ('model.data_preprocessor.pipeline.strategy=independent',)])
def test_a_variable_that_is_merged_with_the_base_is_used(tmp_path, words):
    text = """
pipeline = dict(leave_one_out=['color'], strategy='leave_one_out')
model = dict(data_preprocessor=dict(pipeline=pipeline))
"""
    checked(FACTORS, *words, text=text, folder=tmp_path)


class _Parent(nn.Module):
    def __init__(self, width: int, depth: int, flag: bool = False) -> None:
        super().__init__()


class _Child(_Parent):
    def __init__(self, extra: str = 'a', **kwargs) -> None:
        super().__init__(3, flag=True, **kwargs)


class _Open(_Parent):
    def __init__(self, **kwargs) -> None:
        super().__init__(1, 2)
        self.kwargs = kwargs


def test_kwargs_are_the_parent_s_arguments_that_are_left():
    assert takes(_Child).hints == {'extra': str, 'depth': int}
    assert takes(_Child).required == {'depth'} and not takes(_Child).open
    assert takes(_Open).open


def test_a_plugin_is_checked_by_its_signature(tmp_path):
    registry = Registry('own', parent=MODELS, scope='looc_mm')
    MODELS.register_module(name='ChildOfATest', module=_Child)
    try:
        with pytest.raises(
            ConfigError, match=r"model.head.with: .*_Child has no argument 'with'. Did you mean width|depth"
        ):
            checked(
                FACTORS, text="model = dict(head=dict(_delete_=True, type='ChildOfATest', depht=1))", folder=tmp_path
            )
    finally:
        del MODELS.module_dict['ChildOfATest']
        del registry


@pytest.mark.parametrize(
    ('value', 'hint', 'fit'),
    [
        (True, bool, True),
        (1, bool, False),
        ('yes', bool, False),
        (True, int, False),
        (2.0, int, True),
        (2.5, int, False),
        (2, float, True),
        ('2', float, False),
        ([1, 2], tuple[int, int], True),
        ([1, 2, 3], tuple[int, int], False),
        ((1, 2), list[int], True),
        ('ab', list[str], False),
        (None, str | None, True),
        ({}, dict | nn.Module, True),
        ('x', nn.Module, False),
    ],
)
def test_what_fits_a_hint(value, hint, fit):
    assert fits(value, hint) is fit


def test_the_width_of_the_neck_can_be_left_out(tmp_path):
    checked(
        FACTORS, text="model = dict(neck=dict(_delete_=True, type='QueuePerHeadNeck', queue_len=256))", folder=tmp_path
    )


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ("name='resnet10t'", None),
        ("name='vit_tiny_patch16_224'", None),
        ("name='resnet19'", "model.backbone.*no network 'resnet19'. The nearest names are"),
        (
            "name='resnet10t', pretrain=True",
            "model.backbone.pretrain: .*no argument 'pretrain'. Did you mean pretrained",
        ),
        ("name='vit_tiny_patch16_224', pretrained=True", r'need pictures with mean=\[0.5, 0.5, 0.5\], and the data'),
    ],
)
def test_a_backbone_of_timm(tmp_path, arguments, message):
    pytest.importorskip('timm')
    text = f"""
model = dict(
    backbone=dict(_delete_=True, type='TimmFeatures', {arguments}),
    neck=dict(_delete_=True, type='QueuePerHeadNeck', queue_len=256))
"""
    if message is None:
        checked(FACTORS, text=text, folder=tmp_path)
        return
    with pytest.raises(ConfigError, match=message):
        checked(FACTORS, text=text, folder=tmp_path)
