# Frozen features of images as models see them that are trained on 224 px views; a config adds a dataset.
default_scope = 'looc_mm'
env_cfg = dict(mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0), dist_cfg=dict(backend='nccl'))
log_level = 'WARNING'  # scores are printed, they are not log lines
test_evaluator = []  # MMEngine asks for one; the protocols score themselves

_loader = dict(
    batch_size=256,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='ResizeShortEdge', scale=256),
            dict(type='CenterCrop', crop_size=224),
            dict(type='PackCanvas', label_keys=('gt_label',)),
        ]
    ),
)
test_dataloader = _loader
test_cfg = dict(type='FrozenFeatureLoop', train_dataloader=_loader, protocols=[dict(type='LinearProbe')])
