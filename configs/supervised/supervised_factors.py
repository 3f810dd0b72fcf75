# Supervised on the class: a small ResNet on the shapes of the procedural Factors dataset.
_base_ = '../looc/looc_factors.py'
train_pipeline = [
    dict(type='RandomResizedCrop', scale=48, crop_ratio_range=(0.4, 1.0)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInputs'),
]
train_dataloader = dict(collate_fn=dict(type='pseudo_collate'), dataset=dict(target='shape', pipeline=train_pipeline))
model = dict(
    _delete_=True,
    type='ImageClassifier',
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True),
    backbone=_base_.model.backbone,
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=8, in_channels=128),
)
