# MoCo + add-one, colour (appendix E): a narrow ResNet-18 on Imagenette at 48 pixels, minutes on a CPU.
_base_ = '../looc/looc_color_r18_imagenette.py'
model = dict(data_preprocessor=dict(pipeline=dict(strategy='add_one')), head=dict(same_image_negatives=False))
