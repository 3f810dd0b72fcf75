# LooC++, colour + rotation: ResNet-18 on Imagenette at 48 pixels, for one machine.
_base_ = './looc_r18_imagenette.py'
model = dict(last_stage_per_space=True)
