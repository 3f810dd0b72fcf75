# MoCo v2: a narrow ResNet-18 on a folder of your own pictures at 64 pixels, minutes on a CPU.
_base_ = '../looc/looc_r18_folder.py'
_crop, _flip, _rotation, _color, _blur = _base_.model.data_preprocessor.pipeline.augmentations
model = dict(data_preprocessor=dict(pipeline=dict(augmentations=[_crop, _flip, _color, _blur], leave_one_out=[])))
