# MoCo++, LooC++ but all-invariant: a small ResNet on the procedural Factors dataset, minutes on a CPU.
_base_ = '../looc/loocpp_all_factors.py'
model = dict(data_preprocessor=dict(pipeline=dict(strategy='independent')), head=dict(same_image_negatives=False))
