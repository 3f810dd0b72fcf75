import json

import pytest

from looc_mm.suite import read_records
from looc_mm.suite.records import collect_metrics

RECORD = {'key': 'k', 'config': 'c.py', 'config_key': 'c', 'changes': {}, 'seed': 0, 'metrics': {}}


def score(protocol: str, value: float, representation='V', metric='top1', **more) -> dict:
    return {
        'protocol': protocol,
        'dataset': 'd',
        'representation': representation,
        'metric': metric,
        'value': value,
    } | more


def test_names_of_metrics():
    linear = [
        score('linear', 12.34567, factor='shape', solver='lbfgs', ci=None),
        score('linear', 2.0, factor='shape', solver='sgd', ci=None),
        score('few_shot', 3.0, ['invariant', 'color'], 'top1/5-shot', ci=0.123456),
    ]
    more = [score('knn', 4.0), score('linear', 5.0, factor='shape')]
    metrics, ci = collect_metrics([('linear_eval_d', linear), ('own_d', more)])
    assert metrics == {
        'linear/d/V/top1/shape': 12.3457,
        'linear (sgd)/d/V/top1/shape': 2.0,
        'few_shot/d/invariant+color/top1/5-shot': 3.0,
        'knn/d/V/top1': 4.0,
        'linear/d/V/top1/shape [own_d]': 5.0,
    }
    assert ci == {'few_shot/d/invariant+color/top1/5-shot': 0.1235}


def test_read_records(tmp_path):
    assert read_records(tmp_path / 'none') == []
    for name in 'ba':
        (tmp_path / f'{name}.json').write_text(json.dumps(RECORD | {'key': name}))
    (tmp_path / '.c.json.123.part').write_text('{')  # of a suite that was killed
    assert [record['key'] for record in read_records(tmp_path)] == ['a', 'b']


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{', 'z.json is no record, it cannot be read as JSON'),
        ('[]', 'z.json is no record of tools/suite.py, it is no dict'),
        ('{"key": 1, "seed": 2}', 'it has no config, config_key, changes, metrics. Move it away'),
    ],
)
def test_other_files_among_the_records(tmp_path, text, message):
    (tmp_path / 'z.json').write_text(text)
    with pytest.raises(ValueError, match=message):
        read_records(tmp_path)
