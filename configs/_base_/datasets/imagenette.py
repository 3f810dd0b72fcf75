"""Imagenette's photographs at 112 px, without their labels; views are to be 48 px."""

_base_ = './loader.py'
train_dataloader = dict(
    batch_size=64,
    num_workers=2,
    dataset=dict(
        type='ImageFolder',
        data_root='data/imagenette',
        data_prefix='train',
        pipeline=[dict(type='LoadCanvas', size=64), dict(type='PackCanvas')],
    ),
)
