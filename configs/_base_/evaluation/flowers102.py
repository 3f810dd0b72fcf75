"""Flowers-102: 10 training images of each class, for models trained on 224 px views."""

_root = 'data/flowers102'
_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='ResizeEdge', scale=256, edge='short'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackCanvas', label_keys=('gt_label',)),
]
_dataset = dict(type='Flowers102', data_root=_root, pipeline=_pipeline)
_loader = dict(
    batch_size=256,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
)

test_dataloader = dict(**_loader, dataset=dict(**_dataset, split='test'))
test_cfg = dict(
    type='FrozenFeatureLoop',
    dataset='flowers102',
    train_dataloader=dict(**_loader, dataset=dict(**_dataset, split='train')),
)
