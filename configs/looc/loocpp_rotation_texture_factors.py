# LooC++, rotation + texture: a small ResNet on the procedural Factors dataset, minutes on a CPU.
_base_ = './looc_rotation_texture_factors.py'
model = dict(last_stage_per_space=True)
