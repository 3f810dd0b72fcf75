"""Which runs there are, when their keys change, and what is refused before anything starts."""

import shutil
from pathlib import Path

import pytest

from looc_mm.suite import Changes, plan
from looc_mm.suite.plan import portable

ROOT = Path(__file__).parents[2]
LOOC, FACTORS = ROOT / 'configs/looc/looc_factors.py', ROOT / 'configs/linear_eval/factors.py'


@pytest.fixture
def configs(tmp_path) -> Path:
    """A copy of the repository's configs, to be edited."""
    return shutil.copytree(ROOT / 'configs', tmp_path / 'configs')


def one(configs: Path, evaluate=('linear_eval/factors.py',), seed=0, **changes):
    paths = [configs / path for path in evaluate]
    (run,) = plan([configs / 'looc/looc_factors.py'], [seed], paths, Changes(**changes), configs.parent)
    return run


def test_every_config_with_the_first_seed_comes_first():
    moco = ROOT / 'configs/moco/moco_factors.py'
    runs = plan([moco, LOOC], [0, 3], [FACTORS], Changes(epochs=3), ROOT)
    assert list(map(str, runs)) == [
        'moco_factors seed 0',
        'looc_factors seed 0',
        'moco_factors seed 3',
        'looc_factors seed 3',
    ]
    assert runs[1].path == 'configs/looc/looc_factors.py'
    assert runs[1].evaluations[0].name == 'linear_eval_factors'
    assert all(run.epochs == 3 for run in runs)
    assert len({run.key for run in runs}) == len({run.folder for run in runs}) == 4
    assert runs[0].config_key == runs[2].config_key


def test_the_key_is_fixed(configs):
    """The same content has the same key in another folder, in another process, in another order of evaluations."""
    here, there = one(ROOT / 'configs'), one(configs)
    assert here.key == there.key and here.folder == there.folder
    both = ['linear_eval/factors.py', 'linear_eval/folder.py']
    assert one(configs, both).key == one(configs, both[::-1]).key


@pytest.mark.parametrize(
    'changes',
    [
        {'seed': 1},
        {'amp': True},
        {'epochs': 7},
        {'canvases': 'data/canvases'},
        {'options': {'optim_wrapper.optimizer.lr': 0.5}},
        {'evaluate_options': {'test_dataloader.batch_size': 2}},
        {'evaluate': ['linear_eval/factors.py', 'linear_eval/folder.py']},
    ],
)
def test_a_change_is_another_run(configs, changes):
    before, after = one(configs), one(configs, **changes)
    assert before.key != after.key
    assert (before.training_key != after.training_key) == (not any('evaluate' in name for name in changes))
    assert (before.config_key != after.config_key) == bool({'amp', 'epochs', 'canvases', 'options'} & set(changes))


def test_an_edited_file_is_another_run(configs):
    keys = [one(configs).key]
    for path, old, new in [
        ('looc/looc_factors.py', 'temperature=0.1', 'temperature=0.2'),
        ('_base_/datasets/factors.py', 'batch_size=64', 'batch_size=32'),
        ('linear_eval/factors.py', 'seed=1', 'seed=2'),
    ]:
        text = (configs / path).read_text()
        assert old in text
        (configs / path).write_text(text.replace(old, new))
        keys.append(one(configs).key)
    assert len(set(keys)) == 4


def test_an_edited_plugin_is_another_run(configs, tmp_path):
    plugin = tmp_path / 'plugin.py'
    plugin.write_text('a = 1')
    before = one(configs, plugins=(str(plugin),)).key
    plugin.write_text('a = 2')
    assert one(configs, plugins=(str(plugin),)).key != before


@pytest.mark.parametrize(
    ('pretraining', 'evaluate', 'seeds', 'message'),
    [
        ([], [FACTORS], [0], 'no pretraining config'),
        ([LOOC], [], [0], 'no --evaluate config'),
        ([LOOC], [FACTORS], [], 'no seed'),
        ([LOOC], [FACTORS], [1, 0, 1], 'seeds are named 1. Give each seed once'),
        ([ROOT / 'none.py'], [FACTORS], [0], 'There is no config .*none.py'),
        ([LOOC], [ROOT / 'none.py'], [0], 'There is no config .*none.py'),
        ([FACTORS], [FACTORS], [0], 'factors.py is no pretraining config, it has no model, train_dataloader'),
        ([LOOC], [LOOC], [0], 'looc_factors.py is no evaluation config'),
        ([LOOC, LOOC], [FACTORS], [0], 'configs are named looc_factors. .* rename one'),
        ([LOOC], [FACTORS, FACTORS], [0], 'evaluation configs are named linear_eval_factors'),
    ],
)
def test_what_is_refused(pretraining, evaluate, seeds, message):
    with pytest.raises(ValueError, match=message):
        plan(pretraining, seeds, evaluate, Changes(), ROOT)


def test_what_cannot_be_read(configs):
    with pytest.raises(ValueError, match='--epochs is 0 .* got -1'):
        one(configs, epochs=-1)
    with pytest.raises(ValueError, match='no plug-in nowhere.py'):
        one(configs, plugins=('nowhere.py',))
    with pytest.raises(ValueError, match='looc_factors.py cannot be read as a config, or an option does not fit it'):
        one(configs, options={'model.data_preprocessor.pipeline.augmentations.9.size': 32})
    (configs / 'looc/looc_factors.py').write_text('model = dict(')
    with pytest.raises(ValueError, match='looc_factors.py cannot be read as a config.*SyntaxError'):
        one(configs)


def test_no_absolute_paths_in_a_record(configs):
    run = one(configs, canvases='/data/canvases', options={'a': ['/x/y', {'b': '/x/z', 'c': 0.5}], 'd': 'data/x'})
    assert run.changes.described() == {
        'canvases': 'canvases',
        'options': {'a': ['y', {'b': 'z', 'c': 0.5}], 'd': 'data/x'},
    }
    assert one(configs).changes.described() == {}
    assert plan([LOOC], [0], [FACTORS], Changes(), configs)[0].path == 'looc_factors.py'  # outside of the repository
    assert portable((1, '/a/b')) == [1, 'b']
