# LooC, rotation: ResNet-18 on Imagenette at 48 pixels, for one machine.
_base_ = './looc_r18_imagenette.py'
model = dict(data_preprocessor=dict(pipeline=dict(leave_one_out=['rotation'])))
