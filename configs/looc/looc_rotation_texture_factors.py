# LooC, rotation + texture: a small ResNet on the procedural Factors dataset, minutes on a CPU.
_base_ = './looc_all_factors.py'
model = dict(data_preprocessor=dict(pipeline=dict(leave_one_out=['rotation', 'texture'])))
