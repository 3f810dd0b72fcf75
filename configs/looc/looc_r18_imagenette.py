# LooC, colour + rotation: a narrow ResNet-18 on Imagenette at 48 pixels, minutes on a CPU.
_base_ = [
    '../_base_/datasets/imagenette.py',
    '../_base_/schedules/adamw_cosine_short.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='MultiHeadMoCo',
    momentum=0.99,
    data_preprocessor=dict(
        type='LeaveOneOutPreprocessor',
        pipeline=dict(
            type='LeaveOneOutPipeline',
            augmentations=[
                dict(type='RandomResizedCrop', size=48, scale=(0.4, 1.0)),
                dict(type='HorizontalFlip'),
                dict(type='RandomRightAngleRotation', prob=0.75),  # all four angles are as frequent
                dict(type='ColorJitter'),
                dict(type='GaussianBlur', sigma=(0.1, 0.4)),
            ],
            leave_one_out=['rotation', 'color'],
        ),
    ),
    backbone=dict(type='ResNet', depth=18, stem_channels=16, base_channels=16),
    neck=dict(type='QueuePerHeadNeck', in_channels=128, hid_channels=512, queue_len=64),
    head=dict(type='LooCLoss', temperature=0.1, mask_false_negatives=True),
)
