# MoCo v2: ResNet-50 on a folder of your own pictures, data_root in the dataset.
_base_ = '../looc/looc_r50_folder.py'
_crop, _flip, _rotation, _color, _blur = _base_.model.data_preprocessor.pipeline.augmentations
model = dict(data_preprocessor=dict(pipeline=dict(augmentations=[_crop, _flip, _color, _blur], leave_one_out=[])))
