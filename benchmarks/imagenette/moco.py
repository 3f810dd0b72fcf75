# MoCo v2.
_base_ = 'looc.py'
_crop, _flip, _rotation, _color, _blur = _base_.model.data_preprocessor.pipeline.augmentations
model = dict(
    data_preprocessor=dict(pipeline=dict(augmentations=[_crop, _flip, _color, _blur], leave_one_out=[])),
)
