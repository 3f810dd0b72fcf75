# A classifier of IN-100 on ObjectNet's pictures of 13 of its classes.
_base_ = '../_base_/evaluation/views_224.py'
_load, *_others = _base_.test_dataloader.dataset.pipeline
_pipeline = [_load, dict(type='CropBorder', pixels=2), *_others]  # ObjectNet's pictures have a red frame
test_dataloader = dict(dataset=dict(type='ObjectNet13', data_root='data/objectnet-1.0', pipeline=_pipeline))
test_cfg = dict(
    dataset='objectnet',
    allow_missing_classes=True,  # 87 of the 100 classes have no pictures in ObjectNet
    train_dataloader=dict(dataset=dict(type='IN100', data_root='data/imagenet', split='train')),
)
