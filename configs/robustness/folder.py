_base_ = ['../_base_/evaluation/folder.py', '../_base_/evaluation/runtime.py']
# python tools/corrupt.py data/labelled/val data/labelled-c
test_cfg = dict(
    protocols=[dict(type='RobustnessProbe', dataset=dict(type='CorruptedFolder', data_root='data/labelled-c'))]
)
