# MoCo + add-one, rotation (appendix E): ResNet-18 on Imagenette at 48 pixels, for one machine.
_base_ = '../looc/looc_rotation_r18_imagenette.py'
model = dict(data_preprocessor=dict(pipeline=dict(strategy='add_one')), head=dict(same_image_negatives=False))
