"""A classifier of IN-100 on ImageNet-C, for models trained on 224 px views.

The loaders are of clean images. ``corrupted`` is a dataset to which a corruption and a severity are added, for a leaf
config to hand to its protocol as ``_base_.corrupted``; its images are 224 x 224 already.
"""

_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=256, edge='short'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackCanvas', label_keys=('gt_label',)),
]
_dataset = dict(type='IN100', data_root='data/imagenet', pipeline=_pipeline)
_loader = dict(
    batch_size=256,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
)

corrupted = dict(
    type='ImageNetC',
    data_root='data/imagenet-c',
    pipeline=[dict(type='LoadImageFromFile'), dict(type='PackCanvas', label_keys=('gt_label',))],
)
test_dataloader = dict(**_loader, dataset=dict(**_dataset, split='val'))
test_cfg = dict(
    type='FrozenFeatureLoop',
    dataset='imagenet-c',
    train_dataloader=dict(**_loader, dataset=dict(**_dataset, split='train')),
)
