"""LooC, stain + rotation: ResNet-50 on a folder of histology tiles, data_root in the dataset."""

_base_ = [
    '../../configs/_base_/datasets/folder.py',
    '../../configs/_base_/schedules/sgd_cosine_200e.py',
    '../../configs/_base_/default_runtime.py',
]
model = dict(
    type='MultiHeadMoCo',
    data_preprocessor=dict(
        type='LeaveOneOutPreprocessor',
        pipeline=dict(
            type='LeaveOneOutPipeline',
            augmentations=[
                dict(type='RandomResizedCrop', size=224, scale=(0.2, 1.0)),
                dict(type='HorizontalFlip'),
                dict(type='RandomRightAngleRotation', prob=0.5),
                dict(type='StainJitter', scale=0.2, shift=0.05),
                dict(type='GaussianBlur'),
            ],
            leave_one_out=['rotation', 'stain'],
        ),
    ),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='QueuePerHeadNeck', in_channels=2048, queue_len=4096),
    head=dict(type='LooCLoss', temperature=0.2),
)
