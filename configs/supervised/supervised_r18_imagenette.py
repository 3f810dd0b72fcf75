# Supervised on the class: a narrow ResNet-18 on Imagenette at 48 pixels, minutes on a CPU.
_base_ = '../looc/looc_r18_imagenette.py'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', scale=48, crop_ratio_range=(0.4, 1.0)),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInputs'),
]
train_dataloader = dict(collate_fn=dict(type='pseudo_collate'), dataset=dict(with_label=True, pipeline=train_pipeline))
model = dict(
    _delete_=True,
    type='ImageClassifier',
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True),
    backbone=_base_.model.backbone,
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=128),
)
