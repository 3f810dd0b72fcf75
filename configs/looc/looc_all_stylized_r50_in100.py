# LooC, colour + rotation + texture from stylised images (tools/stylize.py): ResNet-50 on IN-100, the paper's settings.
_base_ = './looc_r50_in100.py'
_load, _pack = _base_.train_dataloader.dataset.pipeline
_stylized = dict(type='LoadStylized', source='data/imagenet/train', stylized='data/imagenet-stylized/train', styles=4)
train_dataloader = dict(dataset=dict(pipeline=[_load, _stylized, _pack]))
_texture = dict(type='StylizedTexture', styles=4, prob=0.5)
_augmentations = [_texture, *_base_.model.data_preprocessor.pipeline.augmentations]
model = dict(
    data_preprocessor=dict(pipeline=dict(augmentations=_augmentations, leave_one_out=['rotation', 'texture', 'color']))
)
