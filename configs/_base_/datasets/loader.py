"""How training images are loaded; a dataset adds itself, the batch size and the number of workers."""

train_dataloader = dict(
    persistent_workers=True,
    pin_memory=True,
    drop_last=True,
    collate_fn=dict(type='default_collate'),
    sampler=dict(type='DefaultSampler', shuffle=True),
)
