# LooC, rotation + color: ResNet-18 on Imagenette at 112 pixels, for one GPU.
_base_ = '../../configs/looc/looc_r18_imagenette.py'
_crop, _flip, _rotation, _color, _ = _base_.model.data_preprocessor.pipeline.augmentations
_blur = dict(type='GaussianBlur', sigma=(0.1, 1.0))
model = dict(
    data_preprocessor=dict(pipeline=dict(augmentations=[dict(_crop, size=112), _flip, _rotation, _color, _blur])),
    backbone=dict(stem_channels=64, base_channels=64),
    neck=dict(in_channels=512),
)
train_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadCanvas', size=112), dict(type='PackCanvas')]))
