# Control, LooC with all-invariant spaces: a small ResNet on the procedural Factors dataset, minutes on a CPU.
_base_ = '../looc/looc_factors.py'
model = dict(data_preprocessor=dict(pipeline=dict(strategy='independent')), head=dict(same_image_negatives=False))
