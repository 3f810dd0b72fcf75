# Control, LooC with all-invariant spaces: a narrow ResNet-18 on Imagenette at 48 pixels, minutes on a CPU.
_base_ = '../looc/looc_r18_imagenette.py'
model = dict(data_preprocessor=dict(pipeline=dict(strategy='independent')), head=dict(same_image_negatives=False))
