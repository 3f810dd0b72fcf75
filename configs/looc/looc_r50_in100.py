# LooC, colour + rotation: ResNet-50 on IN-100, the paper's settings on 8 processes of 32 images.
_base_ = [
    '../_base_/datasets/in100.py',
    '../_base_/schedules/sgd_steps_500e.py',
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
    backbone=dict(type='ResNet', depth=50, zero_init_residual=False),  # as MoCo v2 has it
    neck=dict(type='QueuePerHeadNeck', in_channels=2048, queue_len=16384),
    head=dict(type='LooCLoss', temperature=0.2),
)
