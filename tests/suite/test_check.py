"""What is built before the first child starts."""

from pathlib import Path

import pytest

from looc_mm.suite import Changes, plan
from looc_mm.suite.check import check

ROOT = Path(__file__).parents[2]
FACTORS = ROOT / 'configs/linear_eval/factors.py'
SMALL = {'train_dataloader.dataset.length': 24}
SMALL_EVALUATION = {f'{split}.dataset.length': 16 for split in ('test_dataloader', 'test_cfg.train_dataloader')}


def runs(*names: str, seeds=(0, 1), **changes):
    options = {'options': SMALL | changes.pop('options', {})}
    evaluate = {'evaluate_options': SMALL_EVALUATION | changes.pop('evaluate_options', {})}
    paths = [ROOT / f'configs/{name}_factors.py' for name in names]
    return plan(paths, seeds, [FACTORS], Changes(**options, **evaluate, **changes), ROOT)


def test_method_and_data():
    found = check(
        runs('looc/looc', 'moco/moco', 'moco/moco_add_one_color', 'simclr/looc_simclr', 'supervised/supervised')
    )
    spaces = ['invariant', 'rotation', 'color']
    assert {name: (*about['method'].values(),) for name, about in found.items()} == {
        'looc_factors': ('MultiHeadMoCo', spaces, 'leave_one_out'),
        'moco_factors': ('MultiHeadMoCo', ['invariant'], None),
        'moco_add_one_color_factors': ('MultiHeadMoCo', ['invariant', 'color'], 'add_one'),
        'looc_simclr_factors': ('MultiHeadSimCLR', spaces, 'leave_one_out'),
        'supervised_factors': ('ImageClassifier', [], None),
    }
    assert all(about['data'] == {'type': 'Factors', 'pictures': 24} for about in found.values())


def test_random_weights_need_no_data():
    (about,) = check(runs('looc/looc', epochs=0, options={'train_dataloader.dataset.type': 'None'})).values()
    assert about['data'] is None
    assert check([]) == {}


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'options': {'model.backbone.type': 'None'}}, r'looc_factors.py: .*\n.*model.backbone.type: got .None.'),
        (
            {'options': {'model.data_preprocessor.pipeline.leave_one_out': ['texture']}},
            r"looc_factors.py: .*\n.*pipeline.leave_one_out: .*'texture'",
        ),
        (
            {'options': {'train_dataloader.dataset.pipeline.0.type': 'None'}},
            r'looc_factors.py: .*\n.*dataset.pipeline.0.type: got',
        ),
        ({'canvases': 'nowhere'}, 'The training data of .*nowhere'),
        (
            {'epochs': 1, 'options': {'param_scheduler.1.convert_to_iter_based': False}},
            'The schedule of .*for 2 epochs',
        ),
        (
            {'evaluate_options': {'test_cfg.protocols.0.type': 'None'}},
            r'linear_eval/factors.py: .*\n.*test_cfg.protocols.0.type: got',
        ),
        (
            {'evaluate_options': {'test_dataloader.dataset.type': 'ImageFolder'}},
            r'linear_eval/factors.py: .*\n.*dataset.length: is unknown: ImageFolder',
        ),
    ],
)
def test_what_cannot_be_built(changes, message):
    with pytest.raises(ValueError, match=message):
        check(runs('looc/looc', **changes))


def test_a_plugin_that_registers_nothing(tmp_path):
    plugin = tmp_path / 'empty_plugin_of_a_suite.py'
    plugin.write_text('')
    with pytest.raises(ValueError, match='A plug-in cannot be built: ValueError: .*registers nothing'):
        check(runs('looc/looc', plugins=(str(plugin),)))
