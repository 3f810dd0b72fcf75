# LooC++, colour + rotation: a small ResNet on the procedural Factors dataset, minutes on a CPU.
_base_ = './looc_factors.py'
model = dict(last_stage_per_space=True)
