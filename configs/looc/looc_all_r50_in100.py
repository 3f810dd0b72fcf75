# LooC, colour + rotation + texture: ResNet-50 on IN-100, the paper's settings on 8 processes of 32 images.
_base_ = './looc_r50_in100.py'
_crop, _flip, _rotation, _color, _blur = _base_.model.data_preprocessor.pipeline.augmentations
_texture = dict(type='RandomConvTexture', prob=0.5)
_augmentations = [_crop, _flip, _rotation, _texture, _color, _blur]
model = dict(
    data_preprocessor=dict(pipeline=dict(augmentations=_augmentations, leave_one_out=['rotation', 'texture', 'color']))
)
