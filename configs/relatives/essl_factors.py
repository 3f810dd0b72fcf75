# E-SSL on MoCo v2, predicting rotation: a small ResNet on the procedural Factors dataset, minutes on a CPU.
_base_ = [
    '../_base_/datasets/factors.py',
    '../_base_/schedules/adamw_cosine_short.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ESSL',
    data_preprocessor=dict(
        type='LeaveOneOutPreprocessor',
        pipeline=dict(
            type='LeaveOneOutPipeline',
            augmentations=[
                dict(type='RandomResizedCrop', size=48, scale=(0.4, 1.0)),
                dict(type='HorizontalFlip'),
                dict(type='ColorJitter', hue=0.5, prob=1.0),
                dict(type='GaussianBlur', sigma=(0.1, 0.4)),
            ],
            leave_one_out=[],
        ),
    ),
    backbone=dict(type='ResNet', depth=18, stem_channels=16, base_channels=16),
    neck=dict(type='QueuePerHeadNeck', in_channels=128, hid_channels=128, queue_len=256),
    head=dict(type='LooCLoss', temperature=0.1),
    momentum=0.99,
)
