import json

import pytest
import torch

from looc_mm.evaluation import FeatureBank, LinearProbe


def test_every_choice_of_spaces_by_the_probe_itself(build_runner, tmp_path):
    runner = build_runner(protocols=[dict(type='SpaceAblation'), dict(type='LinearProbe')])
    metrics = runner.test()
    records = json.loads((tmp_path / 'results.json').read_text())
    asked = [record['representation'] for record in records]
    assert asked == ['V', ['invariant'], ['rotation'], ['invariant', 'rotation'], 'V']
    loop = runner.test_loop
    for spaces in (['rotation'], ['invariant', 'rotation']):
        train, test = loop.bank('train').choose(spaces), loop.bank('test').choose(spaces)
        (alone,) = LinearProbe().evaluate(train, test)
        assert metrics[f'space_ablation/fake/{"+".join(spaces)}/top1'] == alone['value']
    assert metrics['space_ablation/fake/V/top1'] == metrics['linear/fake/top1']


def test_a_bank_gives_v_or_in_its_absence_all_spaces():
    parts = {'a': torch.ones(2, 1), 'b': torch.zeros(2, 2)}
    assert torch.equal(FeatureBank(parts, {}).choose().x, torch.tensor([[1.0, 0, 0], [1, 0, 0]]))
    assert FeatureBank({'V': torch.ones(2, 5), **parts}, {}).choose().x.shape == (2, 5)
    assert torch.equal(FeatureBank(parts, {}).choose(['b', 'a']).x[0], torch.tensor([0.0, 0, 1]))
    with pytest.raises(ValueError, match=r"\['V'\]; the model has \['a', 'b'\]"):
        FeatureBank({'V': torch.ones(2, 5), **parts}, {}).choose(['V'])
