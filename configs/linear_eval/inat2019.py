# iNaturalist 2019; a tenth of its training images is the validation split.
_base_ = '../_base_/evaluation/views_224.py'
test_dataloader = dict(dataset=dict(type='INat2019', data_root='data/inat2019', split='val'))
test_cfg = dict(
    dataset='inat2019', train_dataloader=dict(dataset=dict(type='INat2019', data_root='data/inat2019', split='train'))
)
