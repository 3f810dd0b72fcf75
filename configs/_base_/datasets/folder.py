"""Your own pictures: a folder of any depth, without labels; views are to be 224 px."""

train_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='ImageFolder',
        data_root='data/pictures',
        pipeline=[dict(type='LoadCanvas', size=256), dict(type='PackCanvas')],
    ),
)
