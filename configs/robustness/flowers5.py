_base_ = '../linear_eval/flowers5.py'
# python tools/corrupt.py data/flowers5/val data/flowers5-c --keep-size
test_cfg = dict(
    protocols=[dict(type='RobustnessProbe', dataset=dict(type='CorruptedFolder', data_root='data/flowers5-c'))]
)
