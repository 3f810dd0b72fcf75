# LooC, colour + rotation: ResNet-50 on a folder of your own pictures, data_root in the dataset.
_base_ = [
    '../_base_/datasets/folder.py',
    '../_base_/schedules/sgd_cosine_200e.py',
    '../_base_/default_runtime.py',
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
                dict(type='ColorJitter'),
                dict(type='GaussianBlur'),
            ],
            leave_one_out=['rotation', 'color'],
        ),
    ),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='QueuePerHeadNeck', in_channels=2048, queue_len=4096),
    head=dict(type='LooCLoss', temperature=0.2),
)
