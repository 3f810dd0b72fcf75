import json

import pytest
import torch

from looc_mm.evaluation import FeatureSet, LinearProbe


def test_every_choice_of_spaces_by_the_probe_itself(build_runner, tmp_path):
    linear = dict(type='LinearProbe', label='gt_label')
    runner = build_runner(protocols=[dict(type='SpaceAblation', probe=linear), linear])
    metrics = runner.test()
    records = json.loads((tmp_path / 'results.json').read_text())
    asked = [record['representation'] for record in records]
    assert asked == ['V', ['invariant'], ['rotation'], ['invariant', 'rotation'], 'V']
    source = runner.test_loop.source
    for spaces in (['rotation'], ['invariant', 'rotation']):
        train, test = (source.feature_set(split).select(spaces) for split in ('train', 'test'))
        (alone,) = LinearProbe().evaluate(train, test, 'gt_label')
        assert metrics[f'space_ablation/fake/{"+".join(spaces)}/top1'] == alone.value
    assert metrics['space_ablation/fake/V/top1'] == metrics['linear/fake/top1']


def test_a_set_gives_v_or_in_its_absence_all_spaces():
    parts = {'a': torch.ones(2, 1), 'b': torch.zeros(2, 2)}
    assert torch.equal(FeatureSet(parts, {}).select().x, torch.tensor([[1.0, 0, 0], [1, 0, 0]]))
    assert FeatureSet({'V': torch.ones(2, 5), **parts}, {}).select().x.shape == (2, 5)
    assert torch.equal(FeatureSet(parts, {}).select(['b', 'a']).x[0], torch.tensor([0.0, 0, 1]))
    with pytest.raises(ValueError, match=r"\['c'\]; there are \['V', 'a', 'b'\]"):
        FeatureSet({'V': torch.ones(2, 5), **parts}, {}).select(['c'])
