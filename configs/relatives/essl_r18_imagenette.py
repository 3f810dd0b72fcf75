# E-SSL on MoCo v2, predicting rotation: ResNet-18 on Imagenette at 48 pixels, for one machine.
_base_ = [
    '../_base_/datasets/imagenette.py',
    '../_base_/schedules/sgd_cosine_short.py',
    '../_base_/default_runtime.py',
]
model = dict(
    type='ESSL',
    data_preprocessor=dict(
        type='LeaveOneOutPreprocessor',
        pipeline=dict(
            type='LeaveOneOutPipeline',
            augmentations=[
                dict(type='RandomResizedCrop', size=48, scale=(0.2, 1.0)),
                dict(type='HorizontalFlip'),
                dict(type='ColorJitter'),
                dict(type='GaussianBlur', sigma=(0.1, 0.4)),
            ],
            leave_one_out=[],
        ),
    ),
    backbone=dict(type='ResNet', depth=18),
    neck=dict(type='QueuePerHeadNeck', in_channels=512, hid_channels=512, queue_len=512),
    head=dict(type='LooCLoss', temperature=0.1),
    momentum=0.99,
)
