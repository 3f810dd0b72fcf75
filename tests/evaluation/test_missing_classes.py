"""A test folder that lacks classes is scored by the names of its folders, in every protocol."""

import copy
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from sklearn.linear_model import LogisticRegression

from looc_mm.datasets import ImageFolder
from looc_mm.evaluation import Features, FewShotProbe, FrozenFeatureLoop, Monitor
from looc_mm.evaluation.protocols.base import by_training_classes

from .fake import FakeModel

COLOURS = {'a': (40, 40, 90), 'b': (60, 40, 40), 'c': (40, 90, 40), 'd': (90, 90, 40), 'e': (90, 40, 90)}
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadCanvas', size=16),
    dict(type='PackCanvas', label_keys=('gt_label',)),
]
PROBES = ['LinearProbe', 'KNNProbe', 'FewShotProbe', 'Retrieval', 'SpaceAblation', 'HeadPreference', 'RobustnessProbe']


def write(folder: Path, classes: str, number: int, seed: int) -> None:
    """Noise with the colour of its class."""
    draw = np.random.default_rng(seed)
    for name in classes:
        (folder / name).mkdir(parents=True)
        for index in range(number):
            noise = draw.normal(0, 20, 3) + draw.normal(0, 20, (16, 16, 3))
            cv2.imwrite(
                str(folder / name / f'{index}.png'), (np.array(COLOURS[name]) + noise).clip(0, 255).astype('uint8')
            )


@pytest.fixture
def build(tmp_path):
    """A runner whose test lacks a and c; the corrupted test too. ``train`` and ``val`` are classes of one letter."""
    data = tmp_path / 'data'

    def loader(folder: str) -> dict:
        return dict(
            batch_size=4,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
            dataset=dict(type='ImageFolder', data_root=str(data / folder), with_label=True, pipeline=PIPELINE),
        )

    def run(train: str = 'abcde', val: str = 'bde', **test_cfg) -> Runner:
        write(data / 'train', train, 12, 0)
        write(data / 'val', val, 9, 1)
        write(data / 'c/fog/3', val, 9, 2)
        corrupted = dict(type='CorruptedFolder', data_root=str(data / 'c'), pipeline=PIPELINE)
        protocols = [
            dict(type='LinearProbe'),
            dict(type='KNNProbe', k=3),
            dict(type='FewShotProbe', shots=(3,), trials=2, iterations=20),
            dict(type='Retrieval', k=3, shown=1, pictures=1, rotate=False),
            dict(type='SpaceAblation', probe=dict(type='KNNProbe', k=3)),
            dict(type='HeadPreference', pictures=1),
            dict(type='RobustnessProbe', dataset=corrupted, corruptions=['fog'], severities=[3]),
        ]
        torch.manual_seed(0)
        cfg = dict(
            model=dict(type='FakeModel'),
            default_scope='looc_mm',
            work_dir=str(tmp_path),
            experiment_name=str(tmp_path),
            log_level='WARNING',
            randomness=dict(seed=0),
            test_dataloader=loader('val'),
            test_evaluator=[],
            test_cfg=dict(
                type='FrozenFeatureLoop',
                dataset='folder',
                train_dataloader=loader('train'),
                **{'protocols': protocols, **test_cfg},
            ),
        )
        return Runner.from_cfg(cfg)

    return run


def names(folder: Path) -> list[str]:
    """The name of each picture's folder, in the dataset's order."""
    return [
        Path(sample['img_path']).parent.name for sample in ImageFolder(str(folder), with_label=True).load_data_list()
    ]


def accuracy(guesses, truth) -> float:
    return 100 * float(np.mean([guess == name for guess, name in zip(guesses, truth, strict=True)]))


def logistic(train: torch.Tensor, labels: list[str], test: torch.Tensor) -> list[str]:
    """scikit-learn's optimum of the same convex problem, on names."""
    mean, std = train.double().mean(0), train.double().std(0, correction=0)
    std[std == 0] = 1  # a dead channel
    fit = LogisticRegression(C=1 / (0.01 * len(train)), tol=1e-8, max_iter=10_000)
    return fit.fit(((train - mean) / std).numpy(), labels).predict(((test - mean) / std).numpy()).tolist()


def neighbours(train: torch.Tensor, labels: list[str], query: torch.Tensor) -> list[tuple[float, str]]:
    cosines = torch.cosine_similarity(query[None], train).tolist()
    return sorted(zip(cosines, labels, strict=True), reverse=True)[:3]


def vote(found: list[tuple[float, str]]) -> str:
    votes = {name: sum(np.exp(cosine / 0.07) for cosine, each in found if each == name) for _, name in found}
    return max(votes, key=votes.__getitem__)


def test_every_protocol_goes_by_the_names(build, tmp_path, capfd):
    runner = build(allow_missing_classes=True)
    got = runner.test()
    assert "The test pictures lack 2 of 5 classes, which no score covers: 'a', 'c'." in capfd.readouterr().out
    source = runner.test_loop.source
    train, test = (source.feature_set(split).parts for split in ('train', 'test'))
    ours, theirs = names(tmp_path / 'data/train'), names(tmp_path / 'data/val')
    assert set(theirs) == {'b', 'd', 'e'} and len(theirs) == 27

    linear = accuracy(logistic(train['V'], ours, test['V']), theirs)
    assert 40 < linear < 100, 'the oracle is neither chance nor perfect'
    assert got['linear/folder/top1'] == pytest.approx(linear) == got['robustness/folder/top1/clean']
    for name, prefix in (
        ('V', 'knn/folder'),
        ('V', 'space_ablation/folder/V'),
        ('rotation', 'space_ablation/folder/rotation'),
    ):
        guesses = [vote(neighbours(train[name], ours, query)) for query in test[name]]
        assert got[f'{prefix}/top1'] == pytest.approx(accuracy(guesses, theirs))
    for name in ('V', 'rotation'):
        shared = [
            each == own
            for own, query in zip(theirs, test[name], strict=True)
            for _, each in neighbours(train[name], ours, query)
        ]
        assert got[f'retrieval/folder/{name}/same gt_label@3'] == pytest.approx(100 * np.mean(shared))
    number = {name: index for index, name in enumerate('abcde')}
    by_hand = [
        Features(x['V'], {'y': torch.tensor([number[name] for name in given])})
        for x, given in ((train, ours), (test, theirs))
    ]
    trials = [FewShotProbe(shots=(3,), iterations=20).trial(*by_hand, 'y', 3, trial) for trial in range(2)]
    assert got['few_shot/folder/top1/3-shot'] == pytest.approx(sum(trials) / 2)

    fog = copy.deepcopy(source.configs['test'])
    fog['dataset']['data_root'] = str(tmp_path / 'data/c/fog/3')
    corrupted = FrozenFeatureLoop(runner, fog, source.configs['train'], [], 'folder', allow_missing_classes=True).source
    guesses = logistic(train['V'], ours, corrupted.features('test').x)
    assert got['robustness/folder/top1/fog at severity 3'] == pytest.approx(
        accuracy(guesses, names(tmp_path / 'data/c/fog/3'))
    )
    shares = [value for name, value in got.items() if name.startswith('head_preference') and '/share/' in name]
    assert len(shares) == 2 and sum(shares) == pytest.approx(100, abs=1e-3)


def test_it_is_refused_unless_it_is_allowed(build):
    with pytest.raises(
        ValueError, match="The test pictures lack 2 of 5 classes: 'a', 'c'. Add pictures, or pass --allow"
    ):
        build().test()


def test_a_class_of_the_test_alone_is_refused_in_any_case(build):
    with pytest.raises(ValueError, match="classes without training pictures, which no classifier can know: 'e'"):
        build(train='abcd', allow_missing_classes=True).test()


def test_an_empty_class_of_both_folders_changes_no_figure(build, tmp_path):
    protocols = [dict(type='LinearProbe'), dict(type='KNNProbe', k=3), dict(type='FewShotProbe', shots=(3,), trials=2)]
    runner = build('bde', 'bde', protocols=protocols)
    want = runner.test()
    for split in ('train', 'val'):
        (tmp_path / 'data' / split / 'c').mkdir()
    again = copy.deepcopy(runner.cfg)
    again.update(experiment_name=f'{tmp_path} again')
    again.test_cfg.allow_missing_classes = True
    other = Runner.from_cfg(again)
    other.model.load_state_dict(runner.model.state_dict())
    assert other.test() == want


@pytest.mark.parametrize('probe', PROBES)
def test_a_single_class_is_refused(build, probe):
    """Every guess is right: the score was 100."""
    runner = build('b', 'b')
    runner.test_loop.protocols = [each for each in runner.test_loop.protocols if type(each).__name__ == probe]
    with pytest.raises(ValueError, match=r"The training images have one class of 'gt_label' \(\[0\]\)"):
        runner.test()


def test_monitor_reads_the_key_of_the_config(build, tmp_path):
    runner = build(allow_missing_classes=True)
    Config(dict(test_cfg=runner.cfg.test_cfg, test_dataloader=runner.cfg.test_dataloader)).dump(tmp_path / 'eval.py')
    hook = Monitor(str(tmp_path / 'eval.py'), interval=1)
    hook.before_train(SimpleNamespace(model=FakeModel(), _load_from=None, cfg=Config()))
    assert hook.loop.source.missing == {'train': [], 'test': ['a', 'c']}


def test_a_number_without_training_images_has_no_part():
    """Labels 0, 2, 5 of numbers without names count as 0, 1, 2: no weight, no vote and no top-5 of the gaps."""
    train = Features(torch.randn(6, 3), {'y': torch.tensor([0, 2, 5, 5, 2, 0]), 'z': torch.arange(6)})
    test = Features(torch.randn(2, 3), {'y': torch.tensor([5, 0]), 'z': torch.arange(2)})
    fitted, scored = by_training_classes('y', train, test)
    assert fitted.labels['y'].tolist() == [0, 1, 2, 2, 1, 0] and scored.labels['y'].tolist() == [2, 0]
    assert scored.labels['z'].tolist() == [0, 1] and scored.x is test.x
    test.labels['y'] = torch.tensor([5, 1])
    with pytest.raises(ValueError, match=r"1 test images have classes of 'y' without training images.*\[1\]"):
        by_training_classes('y', train, test)


@pytest.mark.parametrize('split', [0, 1])
def test_a_negative_number_is_no_class(split):
    """-1 and -100 mark images without a class in other libraries; cross-entropy passes over -100 without a word."""
    pair = [Features(torch.randn(4, 3), {'y': torch.tensor([0, 1, 0, 1])}) for _ in range(2)]
    pair[split].labels['y'][1] = -100
    with pytest.raises(ValueError, match="1 of 4 images have a negative number as 'y', which is no class"):
        by_training_classes('y', *pair)
