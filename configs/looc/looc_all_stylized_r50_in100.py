# LooC, colour + rotation + texture from stylised images (tools/stylize.py): ResNet-50 on IN-100, the paper's settings.
_base_ = [
    '../_base_/datasets/in100.py',
    '../_base_/schedules/sgd_steps_500e.py',
    '../_base_/default_runtime.py',
]
_pipeline = [
    dict(type='LoadCanvas', size=256),
    dict(type='LoadStylized', source='data/imagenet/train', stylized='data/imagenet-stylized/train', styles=4),
    dict(type='PackCanvas'),
]
train_dataloader = dict(dataset=dict(pipeline=_pipeline))
model = dict(
    type='MultiHeadMoCo',
    data_preprocessor=dict(
        type='LeaveOneOutPreprocessor',
        pipeline=dict(
            type='LeaveOneOutPipeline',
            augmentations=[
                dict(type='StylizedTexture', styles=4, prob=0.5),
                dict(type='RandomResizedCrop', size=224, scale=(0.2, 1.0)),
                dict(type='HorizontalFlip'),
                dict(type='RandomRightAngleRotation', prob=0.5),
                dict(type='ColorJitter'),
                dict(type='GaussianBlur'),
            ],
            leave_one_out=['rotation', 'texture', 'color'],
        ),
    ),
    backbone=dict(type='ResNet', depth=50),
    neck=dict(type='QueuePerHeadNeck', in_channels=2048, queue_len=16384),
    head=dict(type='LooCLoss', temperature=0.2),
)
