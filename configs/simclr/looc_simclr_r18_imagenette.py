# LooC on SimCLR, colour + rotation: a narrow ResNet-18 on Imagenette at 48 pixels, minutes on a CPU.
_base_ = '../looc/looc_r18_imagenette.py'
model = dict(
    _delete_=True,  # SimCLR has no momentum
    type='MultiHeadSimCLR',
    data_preprocessor=_base_.model.data_preprocessor,
    backbone=_base_.model.backbone,
    neck=dict(type='HeadPerSpaceNeck', in_channels=128, hid_channels=512),
    head=_base_.model.head,
)
