# LooC++, colour + rotation: ResNet-50 on IN-100, the paper's settings on 8 processes of 32 images.
_base_ = './looc_r50_in100.py'
model = dict(last_stage_per_space=True)
