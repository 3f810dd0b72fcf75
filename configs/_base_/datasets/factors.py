"""The procedural dataset of shapes, colours and textures, which needs no files."""

train_dataloader = dict(
    batch_size=64,
    num_workers=1,
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='Factors',
        length=4096,
        size=64,
        pipeline=[dict(type='LoadCanvas', size=64), dict(type='PackCanvas', label_keys=['shape', 'color', 'texture'])],
    ),
)
