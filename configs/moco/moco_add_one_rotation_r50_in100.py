# MoCo + add-one, rotation (appendix E): ResNet-50 on IN-100, the paper's settings on 8 processes of 32 images.
_base_ = '../looc/looc_rotation_r50_in100.py'
model = dict(data_preprocessor=dict(pipeline=dict(strategy='add_one')), head=dict(same_image_negatives=False))
