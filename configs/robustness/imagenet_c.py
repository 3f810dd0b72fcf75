# A classifier of IN-100 on ImageNet-C, whose images are 224 x 224 px already.
_base_ = '../linear_eval/in100.py'
_load, _resize, _crop, _pack = _base_.test_dataloader.dataset.pipeline
corrupted = dict(type='ImageNetC', data_root='data/imagenet-c', pipeline=[_load, _pack])
test_cfg = dict(dataset='imagenet-c', protocols=[dict(type='RobustnessProbe', dataset=corrupted)])
