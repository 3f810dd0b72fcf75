# LooC++, colour + rotation + texture: a narrow ResNet-18 on Imagenette at 48 pixels, minutes on a CPU.
_base_ = './looc_all_r18_imagenette.py'
model = dict(last_stage_per_space=True)
