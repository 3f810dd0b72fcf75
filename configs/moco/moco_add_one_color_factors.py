# MoCo + add-one, colour (appendix E): a small ResNet on the procedural Factors dataset, minutes on a CPU.
_base_ = '../looc/looc_color_factors.py'
model = dict(data_preprocessor=dict(pipeline=dict(strategy='add_one')), head=dict(same_image_negatives=False))
