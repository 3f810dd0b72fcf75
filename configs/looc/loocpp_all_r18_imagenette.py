# LooC++, colour + rotation + texture: ResNet-18 on Imagenette at 48 pixels, for one machine.
_base_ = './looc_all_r18_imagenette.py'
model = dict(last_stage_per_space=True)
