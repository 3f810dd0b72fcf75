"""What holds for every class that looc_mm registers: a new class is tested because it is registered."""

import copy
import inspect
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

from looc_mm.datasets import Part
from looc_mm.datasets.whole import known_datasets
from looc_mm.evaluation import FeatureSource, Protocol
from looc_mm.evaluation.run import choose_protocols
from looc_mm.files import with_checksum
from looc_mm.models.multi_head import MultiHead
from looc_mm.registry import (
    AUGMENTATIONS,
    DATASETS,
    MODELS,
    PROTOCOLS,
    REGISTRIES,
    TRANSFORMS,
    snake_case,
)
from looc_mm.testing import check_augmentation
from tests.evaluation.fake import FakeImages, FakeModel

ROOT = Path(__file__).parents[1]
init_default_scope('looc_mm')
for each in REGISTRIES.values():
    each.import_from_location()

#: (registry, name, class) of everything of our own.
ENTRIES = [
    (key, name, kind)
    for key, registry in REGISTRIES.items()
    for name, kind in sorted(registry.module_dict.items())
    if kind.__module__.startswith('looc_mm.')
]
NAMES = {key: [name for registry, name, _ in ENTRIES if registry == key] for key in REGISTRIES}
METHODS = [name for name in NAMES['MODELS'] if issubclass(MODELS.get(name), MultiHead)]
PUBLISHED = [name for name in NAMES['DATASETS'] if isinstance(DATASETS.get(name).published, dict)]


def shards(folder: Path) -> dict[str, Any]:
    (folder / 'canvases.json').write_text(json.dumps(with_checksum(dict(shards=0, labels=[], size=8, metainfo={}))))
    return dict(data_root=str(folder), lazy_init=True)


#: What a class cannot be built without; a class that is not here is built from its defaults. For arguments that need
#: files, a function of a folder.
ARGUMENTS: dict[str, dict[str, Any] | Callable[[Path], dict[str, Any]]] = {
    'FromAlbumentations': dict(transform='ChannelShuffle', p=0.5),
    'FromKornia': dict(transform='RandomPosterize', p=0.5),
    'FromTorchvision': dict(transform='RandomSolarize', threshold=0.5, p=0.5),
    'RobustnessProbe': dict(dataset=dict(type='CorruptedFolder', data_root='nowhere')),
    'SplitBN': dict(num_features=8),
    'TimmFeatures': dict(name='resnet10t'),
    'HeadsFirst': dict(steps=2),
    'LeaveOneOutPreprocessor': dict(
        pipeline=dict(type='LeaveOneOutPipeline', augmentations=[dict(type='RandomResizedCrop', size=32)])
    ),
    'MultiChannelPreprocessor': dict(
        in_channels=4,
        pipeline=dict(type='LeaveOneOutPipeline', augmentations=[dict(type='RandomResizedCrop', size=32)]),
    ),
    'HeadPerSpaceNeck': dict(in_channels=8, hid_channels=8, spaces=['invariant', 'color']),
    'QueuePerHeadNeck': dict(in_channels=8, hid_channels=8, queue_len=8, spaces=['invariant', 'color']),
    'LeaveOneOutPipeline': dict(augmentations=[dict(type='RandomResizedCrop', size=32), dict(type='ColorJitter')]),
    'ResizeShortEdge': dict(scale=64),
    'LoadStylized': dict(source='/nowhere', stylized='/nowhere-stylized'),
    'CUB': dict(data_root='nowhere', lazy_init=True),
    'CanvasShards': shards,
    'CorruptedFolder': dict(data_root='nowhere', corruption='fog', severity=3, lazy_init=True),
    'Factors': dict(length=4),
    'Flowers102': dict(data_root='nowhere', lazy_init=True),
    'IN100': dict(data_root='nowhere', lazy_init=True),
    'INat2019': dict(data_root='nowhere', lazy_init=True),
    'HuggingFaceDataset': dict(data_root='nowhere', lazy_init=True),
    'ImageFolder': dict(data_root='nowhere', lazy_init=True),
    'ImageNetC': dict(data_root='nowhere', corruption='fog', severity=3, lazy_init=True),
    'ObjectNet13': dict(data_root='nowhere', lazy_init=True),
    'WebDatasetTars': dict(data_root='nowhere', lazy_init=True),
    'Monitor': dict(config=str(ROOT / 'configs/linear_eval/factors.py')),
    'PartialEpochs': dict(pictures=3),
    'Pretrained': dict(checkpoint='nowhere.pth'),
}
#: Arguments that are no plain values; the runner passes them beside the config.
OBJECTS: dict[str, Callable[[], dict[str, Any]]] = {
    'PartialEpochs': lambda: dict(dataset=range(5)),
    'ShardSampler': lambda: dict(dataset=range(5)),
    'AutocastOptimWrapper': lambda: dict(optimizer=torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)),
}
#: Built elsewhere, and where.
ELSEWHERE = {
    'FrozenFeatureLoop': 'it needs a runner: tests/evaluation/test_loop.py',
    'EpochBasedTrainLoop': 'it needs a runner: tests/engine/test_loops.py',
    'IterBasedTrainLoop': 'it needs a runner: tests/engine/test_loops.py',
}


def plain_arguments(name: str, kind: Callable[..., Any], folder: Path) -> dict[str, Any]:
    """Every argument that a config can give: the class's defaults, and those of the table."""
    given = ARGUMENTS.get(name, {})
    given = given(folder) if callable(given) else given
    parameters = [each for each in inspect.signature(kind).parameters.values() if each.kind < each.VAR_KEYWORD]
    parameters = [each for each in parameters if each.kind != each.VAR_POSITIONAL]
    needed = [each.name for each in parameters if each.default is each.empty]
    if missing := sorted(set(needed) - set(given) - set(OBJECTS.get(name, dict)())):
        pytest.fail(
            f'{name} cannot be built without {missing}. Add small values to ARGUMENTS in tests/test_registries.py, to '
            f'OBJECTS if they are no plain values, or the name to ELSEWHERE with the test that builds the class.'
        )
    defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
    return copy.deepcopy({**defaults, **given})


def config_of(registry: str, name: str, folder: Path) -> dict[str, Any]:
    if name in METHODS:
        return Config.fromfile(config_of_method(name)).model.to_dict()
    return dict(type=name, **plain_arguments(name, REGISTRIES[registry].get(name), folder))


def config_of_method(name: str) -> Path:
    """The config of configs/ that trains a method on Factors."""
    for path in sorted(ROOT.glob('configs/*/*_factors.py')):
        if Config.fromfile(path).get('model', {}).get('type') == name:
            return path
    return pytest.fail(f'No config trains {name}: add configs/<family>/<method>_factors.py with model.type={name!r}.')


def build(registry: str, config: dict[str, Any]) -> Any:
    if config['type'] in ('FromKornia', 'FromAlbumentations'):
        pytest.importorskip(config['type'].removeprefix('From').lower())
    if config['type'] == 'HuggingFaceDataset':
        pytest.importorskip('datasets')
    objects = OBJECTS.get(config['type'], dict)()
    return REGISTRIES[registry].build(copy.deepcopy(config), **({'default_args': objects} if objects else {}))


def shown(instance: Any) -> str:
    """Its repr without addresses."""
    return re.sub(r' at 0x[0-9a-f]+', '', repr(instance))


every_entry = pytest.mark.parametrize(
    'registry, name, kind', ENTRIES, ids=[f'{key}.{name}' for key, name, _ in ENTRIES]
)


def test_each_table_has_registered_names_only():
    assert {*ARGUMENTS, *OBJECTS, *ELSEWHERE} <= {name for _, name, _ in ENTRIES}


@every_entry
def test_a_class_has_a_docstring_that_has_every_argument(registry, name, kind):
    text = vars(kind).get('__doc__') or ''
    assert len(text.split('\n')[0]) > 10, f'{name} has no docstring'
    if '__init__' in vars(kind):
        arguments = list(inspect.signature(kind).parameters.values())
        named = {each.name for each in arguments if each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)}
        documented = {*re.findall(r'^ +\*{0,2}(\w+):', inspect.getdoc(kind), re.MULTILINE), 'init_cfg'}
        assert not named - documented


@every_entry
def test_a_config_that_was_stored_builds_the_same(registry, name, kind, tmp_path):
    """As a checkpoint stores it: as text."""
    if name in ELSEWHERE:
        pytest.skip(ELSEWHERE[name])
    config = config_of(registry, name, tmp_path)
    stored = Config.fromstring(Config(dict(stored=config)).pretty_text, '.py').stored.to_dict()
    assert stored == config
    first, second = build(registry, config), build(registry, stored)
    assert type(first) is type(second) is kind
    assert kind.__name__ in shown(first) and shown(first) == shown(second)


@every_entry
def test_an_argument_that_a_class_keeps_is_that_of_the_config(registry, name, kind, tmp_path):
    """Every number and flag, changed from its default, is found again under its name if it is kept there."""
    if name in ELSEWHERE or name in METHODS:
        pytest.skip(ELSEWHERE.get(name, 'test_configs.py compares the models of configs'))
    config = config_of(registry, name, tmp_path)
    plain = {key: value for key, value in config.items() if isinstance(value, bool | int | float)}
    for key, value in plain.items():
        changed = not value if isinstance(value, bool) else 0.9 * value if isinstance(value, float) else value + 1
        try:
            instance = build(registry, {**config, key: changed})
        except (ValueError, OSError):  # out of range, or files are read at once
            continue
        kept = vars(instance).get(key, changed)
        assert kept == changed, f'{name}({key}={changed}).{key} is {kept}'


# StylizedTexture takes candidates beside the images: tests/augmentations/test_stylized.py checks its contract.
@pytest.mark.parametrize('name', [name for name in NAMES['AUGMENTATIONS'] if name != 'StylizedTexture'])
def test_an_augmentation_keeps_the_contract(name, tmp_path):
    check_augmentation(build('AUGMENTATIONS', config_of('AUGMENTATIONS', name, tmp_path)))


@pytest.mark.parametrize('name', NAMES['AUGMENTATIONS'])
def test_an_augmentation_draws_and_applies_alike_after_storing(name, tmp_path):
    config = config_of('AUGMENTATIONS', name, tmp_path)
    stored = Config.fromstring(Config(dict(stored=config)).pretty_text, '.py').stored.to_dict()
    first, second = (build('AUGMENTATIONS', each) for each in (config, stored))
    images, *candidates = torch.rand(5, 3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    beside = [torch.stack(candidates, 1)] if name == 'StylizedTexture' else []
    drawn = [each.sample(3, torch.Generator().manual_seed(1), (32, 32)) for each in (first, second)]
    assert drawn[0].keys() == drawn[1].keys()
    assert all(torch.equal(value, drawn[1][key]) for key, value in drawn[0].items())
    assert torch.equal(first.apply(images, drawn[0], *beside), second.apply(images, drawn[1], *beside))


@pytest.mark.parametrize('name', NAMES['AUGMENTATIONS'])
def test_two_augmentations_of_a_class_in_one_list(name, tmp_path):
    config = {**config_of('AUGMENTATIONS', name, tmp_path), 'owns_space': True}
    other = {**config, 'name': 'other', 'owns_space': False}
    first, second = build('AUGMENTATIONS', config), build('AUGMENTATIONS', other)
    assert (second.name, second.owns_space) == ('other', False) and first.name != 'other' and first.owns_space
    assert "name='other'" in repr(second) and "name='other'" not in repr(first)
    for each in (first, second):  # shown where it is not the class's
        assert (f'owns_space={each.owns_space}' in repr(each)) == (each.owns_space != type(each).owns_space)
    if name == 'StylizedTexture':
        return  # it is the first of a list
    pipeline = TRANSFORMS.build(dict(type='LeaveOneOutPipeline', augmentations=[config, other]))
    assert pipeline.spaces == ('invariant', first.name)
    table = pipeline.sample(2, torch.Generator().manual_seed(0), (64, 64))
    assert set(table['q']) == {first.name, 'other'}
    views = pipeline.apply(torch.rand(2, 3, 64, 64), table)
    assert views.shape[:3] == (3, 2, 3) and views.isfinite().all()


@pytest.mark.parametrize('arguments', [dict(name=1), dict(owns_space='yes'), dict(owns_space=None)])
def test_the_arguments_of_every_augmentation_are_checked(arguments):
    (key,) = arguments
    with pytest.raises(ValueError, match=rf'GaussianBlur got {key}=.*; it has to be of type'):
        AUGMENTATIONS.build(dict(type='GaussianBlur', **arguments))


@pytest.mark.parametrize('name', NAMES['PROTOCOLS'])
def test_a_protocol_is_found_by_its_names(name):
    kind, config = PROTOCOLS.get(name), dict(type=name)
    assert choose_protocols([name], []) == choose_protocols([kind.name], [config]) == [config]
    if kind.in_all:
        assert choose_protocols([kind.name], []) == [config] and config in choose_protocols(['all'], [])


def test_two_protocols_share_a_name_only_if_one_of_them_needs_a_config():
    in_all = [PROTOCOLS.get(name).name for name in NAMES['PROTOCOLS'] if PROTOCOLS.get(name).in_all]
    assert len(set(in_all)) == len(in_all)


def test_a_protocol_is_named_by_its_class():
    class RGBOfTheMean(Protocol):
        """Without a name."""

    class Other(RGBOfTheMean):
        """Not its parent's."""

    assert (RGBOfTheMean.name, Other.name) == ('rgb_of_the_mean', 'other')
    assert [snake_case(name) for name in ('KNNProbe', 'A', 'Top5Of10')] == ['knn_probe', 'a', 'top5_of10']


@pytest.mark.parametrize('name', NAMES['PROTOCOLS'])
def test_a_protocol_can_refuse_a_model_and_its_data(name, tmp_path):
    loaders = {split: DataLoader(FakeImages(), 4) for split in ('train', 'test')}
    source = FeatureSource(FakeModel(), loaders, name='fake')
    reason = build('PROTOCOLS', config_of('PROTOCOLS', name, tmp_path)).unsuitable(source)
    assert reason is None or (isinstance(reason, str) and not reason.endswith('.'))


@pytest.mark.parametrize('name', NAMES['DATASETS'])
def test_a_dataset_has_published_counts_or_a_reason(name):
    kind = DATASETS.get(name)
    assert 'published' in vars(kind), f'give {name} `published`: a Part for each part, or text: why there is none'
    if isinstance(kind.published, str):
        assert len(kind.published) > 10
        return
    for part in kind.published.values():
        assert isinstance(part, Part)
        assert all(each is None or each > 0 for each in (part.images, part.classes))


@pytest.mark.parametrize('name', PUBLISHED)
def test_the_parts_of_a_dataset_can_be_built(name):
    for split, part in DATASETS.get(name).published.items():
        arguments = dict(split=split) if part.arguments is None else part.arguments
        DATASETS.build(dict(type=name, data_root='nowhere', lazy_init=True, **arguments))


def test_every_dataset_that_can_be_checked_is_documented():
    page = (ROOT / 'docs/datasets.md').read_text()
    assert set(re.findall(r'^\| `([\w-]+)` \| .* \|$', page, re.MULTILINE)) >= set(known_datasets())


@pytest.mark.parametrize('name', METHODS)
def test_a_method_is_built_by_a_config_and_takes_a_step(name):
    cfg = Config.fromfile(config_of_method(name)).model
    model = MODELS.build(cfg)
    canvas = torch.randint(0, 256, (8, 3, 64, 64), dtype=torch.uint8)
    data = model.data_preprocessor({'inputs': canvas, 'image_size': torch.full((8, 2), 64)}, True)
    losses = model(**data, mode='loss')
    losses['loss'].backward()
    assert losses['loss'].isfinite()
    assert all(f'loss_{space}' in losses for space in model.spaces)
