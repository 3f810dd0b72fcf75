# LooC, rotation + color: ResNet-18 on Imagenette at 112 pixels, in a regime in which the spaces learn on photographs.
_base_ = '../../configs/looc/looc_r18_imagenette.py'
_crop = dict(type='RandomResizedCrop', size=112, scale=(0.4, 1.0))
_flip = dict(type='HorizontalFlip')
_rotation = dict(type='RandomRightAngleRotation', prob=0.75)  # uniform over the four angles
_color = dict(type='ColorJitter')
_blur = dict(type='GaussianBlur', sigma=(0.1, 1.0))
model = dict(
    data_preprocessor=dict(pipeline=dict(augmentations=[_crop, _flip, _rotation, _color, _blur])),
    neck=dict(queue_len=64),
    head=dict(mask_false_negatives=True),
)
train_dataloader = dict(
    batch_size=64, dataset=dict(pipeline=[dict(type='LoadCanvas', size=112), dict(type='PackCanvas')])
)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='AdamW', lr=0.001, weight_decay=0.01))
