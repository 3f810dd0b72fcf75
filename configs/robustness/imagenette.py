_base_ = '../linear_eval/imagenette.py'
# python tools/corrupt.py data/imagenette/val data/imagenette-c --keep-size
test_cfg = dict(
    protocols=[dict(type='RobustnessProbe', dataset=dict(type='CorruptedFolder', data_root='data/imagenette-c'))]
)
