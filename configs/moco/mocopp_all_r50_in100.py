# MoCo++, LooC++ but all-invariant: ResNet-50 on IN-100, the paper's settings on 8 processes of 32 images.
_base_ = '../looc/loocpp_all_r50_in100.py'
model = dict(data_preprocessor=dict(pipeline=dict(strategy='independent')), head=dict(same_image_negatives=False))
