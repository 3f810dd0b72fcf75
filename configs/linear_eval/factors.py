# The procedural Factors dataset: each of its factors, the rotation, and the position, size and angle.
_base_ = '../_base_/evaluation/views_48.py'
_labels = ('shape', 'color', 'texture', 'x', 'y', 'size', 'angle')
_pipeline = [dict(type='LoadCanvas', size=48), dict(type='PackCanvas', label_keys=_labels)]
_factors = dict(type='Factors', length=2048, seed=1, pipeline=_pipeline)
_linear = [dict(type='LinearProbe', label=label) for label in ('shape', 'color', 'texture')]
test_dataloader = dict(dataset=dict(**_factors, split='test'))
test_cfg = dict(
    dataset='factors',
    train_dataloader=dict(dataset=dict(**_factors, split='train')),
    protocols=[*_linear, dict(type='RotationProbe'), dict(type='RegressionProbe')],
)
