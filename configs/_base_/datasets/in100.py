"""IN-100 out of an ImageNet folder; 8 processes make the batch of 256."""

_base_ = './loader.py'
train_dataloader = dict(
    batch_size=32,
    num_workers=8,
    dataset=dict(
        type='IN100',
        data_root='data/imagenet',
        split='train',
        pipeline=[dict(type='LoadCanvas', size=256), dict(type='PackCanvas')],
    ),
)
