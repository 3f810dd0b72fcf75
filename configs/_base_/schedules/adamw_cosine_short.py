# For minutes: AdamW, warmed up and annealed to zero; for 64 images a step.
optim_wrapper = dict(optimizer=dict(type='AdamW', lr=0.001, weight_decay=0.01))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', begin=1, convert_to_iter_based=True),
]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=16)
auto_scale_lr = dict(base_batch_size=64)
