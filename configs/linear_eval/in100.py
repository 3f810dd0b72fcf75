# IN-100 from ImageNet's folders.
_base_ = '../_base_/evaluation/views_224.py'
test_dataloader = dict(dataset=dict(type='IN100', data_root='data/imagenet', split='val'))
test_cfg = dict(
    dataset='in100', train_dataloader=dict(dataset=dict(type='IN100', data_root='data/imagenet', split='train'))
)
