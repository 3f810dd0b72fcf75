import json

from looc_mm.evaluation import write_results


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / 'results.json'
    write_results(path, [{'value': 1.5}, {'value': 2}])
    write_results(path, [{'ci': None}])
    assert json.loads(path.read_text()) == [{'ci': None}]
    assert list(tmp_path.iterdir()) == [path]
