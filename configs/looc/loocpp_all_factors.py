# LooC++, colour + rotation + texture: a small ResNet on the procedural Factors dataset, minutes on a CPU.
_base_ = './looc_all_factors.py'
model = dict(last_stage_per_space=True)
