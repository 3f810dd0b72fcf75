"""LooC, stain + rotation: ResNet-50 on a folder of histology tiles, data_root in the dataset."""

_base_ = '../../configs/looc/looc_r50_folder.py'
_crop, _flip, _rotation, _color, _blur = _base_.model.data_preprocessor.pipeline.augmentations
_stain = dict(type='StainJitter', scale=0.2, shift=0.05)
_augmentations = [_crop, _flip, _rotation, _stain, _blur]
model = dict(data_preprocessor=dict(pipeline=dict(augmentations=_augmentations, leave_one_out=['rotation', 'stain'])))
