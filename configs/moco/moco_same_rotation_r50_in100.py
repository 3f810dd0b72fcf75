# MoCo v2 with the same rotation for q and k: ResNet-50 on IN-100, the paper's settings on 8 processes of 32 images.
_base_ = '../looc/looc_r50_in100.py'
model = dict(data_preprocessor=dict(pipeline=dict(leave_one_out=[], same=['rotation'])))
