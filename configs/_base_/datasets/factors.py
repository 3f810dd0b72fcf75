"""The procedural dataset of shapes, colours and textures, which needs no files."""

_base_ = './loader.py'
train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    dataset=dict(
        type='Factors',
        length=4096,
        size=64,
        pipeline=[dict(type='LoadCanvas', size=64), dict(type='PackCanvas', label_keys=['shape', 'color', 'texture'])],
    ),
)
