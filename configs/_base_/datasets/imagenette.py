"""Imagenette's photographs at 112 px, without their labels; views are to be 48 px."""

train_dataloader = dict(
    batch_size=128,
    num_workers=2,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='ImageFolder',
        data_root='data/imagenette',
        data_prefix='train',
        pipeline=[dict(type='LoadCanvas', size=64), dict(type='PackCanvas')],
    ),
)
