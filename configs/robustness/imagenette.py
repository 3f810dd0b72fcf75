_base_ = ['../_base_/evaluation/imagenette.py', '../_base_/evaluation/runtime.py']
# python tools/corrupt.py data/imagenette/val data/imagenette-c --keep-size
test_cfg = dict(
    protocols=[dict(type='RobustnessProbe', dataset=dict(type='CorruptedFolder', data_root='data/imagenette-c'))]
)
