_base_ = ['../_base_/evaluation/flowers5.py', '../_base_/evaluation/runtime.py']
# python tools/corrupt.py data/flowers5/val data/flowers5-c --keep-size
test_cfg = dict(
    protocols=[dict(type='RobustnessProbe', dataset=dict(type='CorruptedFolder', data_root='data/flowers5-c'))]
)
