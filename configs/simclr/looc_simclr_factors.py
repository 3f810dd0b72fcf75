# LooC on SimCLR, colour + rotation: a small ResNet on the procedural Factors dataset, minutes on a CPU.
_base_ = '../looc/looc_factors.py'
model = dict(
    _delete_=True,  # SimCLR has no momentum
    type='MultiHeadSimCLR',
    data_preprocessor=_base_.model.data_preprocessor,
    backbone=_base_.model.backbone,
    neck=dict(type='HeadPerSpaceNeck', in_channels=128, hid_channels=128),
    head=_base_.model.head,
)
