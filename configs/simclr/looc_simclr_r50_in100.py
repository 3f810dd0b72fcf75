# LooC on SimCLR, colour + rotation: ResNet-50 on IN-100, the paper's settings on 8 processes of 32 images.
_base_ = '../looc/looc_r50_in100.py'
model = dict(type='MultiHeadSimCLR', neck=dict(_delete_=True, type='HeadPerSpaceNeck', in_channels=2048))
