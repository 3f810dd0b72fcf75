# LooC, colour + rotation: a narrow ResNet-18 on a folder of your own pictures at 64 pixels, minutes on a CPU.
_base_ = './looc_r18_imagenette.py'
_crop, *_others, _blur = _base_.model.data_preprocessor.pipeline.augmentations
_sized = [dict(_crop, size=64), *_others, dict(_blur, sigma=(0.1, 0.6))]
model = dict(data_preprocessor=dict(pipeline=dict(augmentations=_sized)))
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ImageFolder',
        data_root='data/photos',
        pipeline=[dict(type='LoadCanvas', size=88), dict(type='PackCanvas')],
    )
)
