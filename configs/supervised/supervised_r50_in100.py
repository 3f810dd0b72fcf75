# Supervised on the class: ResNet-50 on IN-100, 90 epochs on 8 processes of 32 images.
_base_ = '../looc/looc_r50_in100.py'
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='RandomResizedCrop', scale=224),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackInputs'),
]
train_dataloader = dict(collate_fn=dict(type='pseudo_collate'), dataset=dict(pipeline=train_pipeline))
model = dict(
    _delete_=True,
    type='ImageClassifier',
    data_preprocessor=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True),
    backbone=dict(_base_.model.backbone, zero_init_residual=True),  # as MMPreTrain's ResNet-50 has it
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=100, in_channels=2048),
)
optim_wrapper = dict(optimizer=dict(lr=0.1))
param_scheduler = dict(milestones=[30, 60, 80])
train_cfg = dict(max_epochs=90)
