"""A classifier of IN-100 on ObjectNet's pictures of 13 of its classes, for models trained on 224 px views."""

_crop = [
    dict(type='ResizeEdge', scale=256, edge='short'),
    dict(type='CenterCrop', crop_size=224),
    dict(type='PackCanvas', label_keys=('gt_label',)),
]
_train_pipeline = [dict(type='LoadImageFromFile'), *_crop]
_test_pipeline = [dict(type='LoadImageFromFile'), dict(type='CropBorder', pixels=2), *_crop]  # a red frame
_loader = dict(
    batch_size=256,
    num_workers=2,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
)

test_dataloader = dict(
    **_loader, dataset=dict(type='ObjectNet13', data_root='data/objectnet-1.0', pipeline=_test_pipeline)
)
test_cfg = dict(
    type='FrozenFeatureLoop',
    dataset='objectnet',
    train_dataloader=dict(
        **_loader, dataset=dict(type='IN100', data_root='data/imagenet', split='train', pipeline=_train_pipeline)
    ),
)
