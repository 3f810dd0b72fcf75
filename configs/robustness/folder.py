_base_ = '../linear_eval/folder.py'
# python tools/corrupt.py data/labelled/val data/labelled-c
test_cfg = dict(
    protocols=[dict(type='RobustnessProbe', dataset=dict(type='CorruptedFolder', data_root='data/labelled-c'))]
)
