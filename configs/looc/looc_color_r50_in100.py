# LooC, colour: ResNet-50 on IN-100, the paper's settings on 8 processes of 32 images.
_base_ = './looc_r50_in100.py'
_crop, _flip, _rotation, _color, _blur = _base_.model.data_preprocessor.pipeline.augmentations
model = dict(
    data_preprocessor=dict(pipeline=dict(augmentations=[_crop, _flip, _color, _blur], leave_one_out=['color']))
)
