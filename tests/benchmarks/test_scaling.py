"""The benchmark of what processes send: what is counted is what the formula says."""

import pytest


@pytest.mark.slow
def test_counted_bytes_are_the_formulas(run_benchmark):
    rows, ratios, _ = run_benchmark('scaling')
    assert ratios['keys, 2 processes, bfloat16: counted / formula'] == 1
    assert ratios['gradients, 2 processes, bfloat16: counted / formula'] == 1
    for name in ('images', 'embeddings'):  # of a permutation it is the mean
        assert ratios[f'{name}, 2 processes, bfloat16: counted / formula'] == pytest.approx(1, abs=0.1)
    large = [row for row in rows if row['what'] == 'formula, ResNet-50']
    assert [row['processes'] for row in large] == [8, 64, 256, 1024] * 2
    assert large[3]['images MB'] == pytest.approx(57.7, abs=0.1) and large[7]['images MB'] < 29
